export { applyChanges } from './apply.ts';
export { type Draw, drawChanges, type PictureChanges, type Place } from './draw.ts';
export type { Box, Size } from './geometry.ts';
export { drawMix, type Mix, mixImages, softLabels } from './mix.ts';
export { applyOperation, type Operation, type Picture } from './operations.ts';
export {
  AUGMENTATION_DEFAULTS,
  type Augmentation,
  type AugmentationOptions,
  type ColourJitter,
  checkAugmentation,
  type ResizedCrop,
} from './options.ts';
export { readSquare, type SquareOptions, sourceScale } from './read.ts';
