/** What `fit` decides by itself: pure functions from what is known of pictures, weights and device. */
import { RESNETS, type ResNetOptions } from '../../onnx/index.ts';
import { DIALECTS } from '../weights/dialects/index.ts';
import type { WeightFile } from '../weights/index.ts';

/** Side of the network's input, in pixels: ResNets are pretrained at 224, and a processor pays for each pixel. */
const IMAGE_SIZES = { cpu: 128, cuda: 224 } as const;
const SMALLEST_SIZE = 64;
/** Networks halve a map five times. */
const STEP = 32;

/**
 * Side of the network's input: the device's usual, but no more than the pictures have.
 *
 * @param shortSide median short side of the pictures, in pixels
 */
export function chooseImageSize(device: 'cpu' | 'cuda', shortSide: number | undefined): number {
  const usual = IMAGE_SIZES[device];
  if (shortSide === undefined) return usual;
  return Math.min(usual, Math.max(SMALLEST_SIZE, Math.floor(shortSide / STEP) * STEP));
}

/** Training pictures that stage two shows, over all passes: about a quarter of an hour of a ResNet50 on two cores at 128 px. */
const SHOWN = { cpu: 12_000, cuda: 70_000 } as const;
/** Fewer than the least do not train a network, and more than the most only learn the pictures by heart. */
const PASSES = { least: 3, most: 60 } as const;

/** Passes of stage two: the fewer pictures, the more. */
export function choosePasses(device: 'cpu' | 'cuda', trainPictures: number): number {
  return Math.min(PASSES.most, Math.max(PASSES.least, Math.round(SHOWN[device] / trainPictures)));
}

/** Convolutions of a network without its shortcuts: the stem's and the blocks'. */
function convolutionsOf({ blocks, block }: (typeof RESNETS)[keyof typeof RESNETS]): number {
  return 1 + blocks.reduce((sum, count) => sum + count, 0) * (block === 'basic' ? 2 : 3);
}

/** A stage has a shortcut where its blocks change the channels or halve the map: all, or all but the first. */
const SHORTCUTS: readonly number[] = [3, 4];

/** First convolution of the first block: it has 64 channels, times the width. */
const FIRST = 'res2a_branch2a_weights';
const FIRST_CHANNELS = 64;

/** The network that weights are of, as far as their names and shapes tell; else nothing, and the defaults stand. */
export function networkOf({ tensors }: Pick<WeightFile, 'tensors'>): Partial<Pick<ResNetOptions, 'depth' | 'width'>> {
  const convolutions = [...tensors.values()].filter(({ dims }) => dims.length === 4).length;
  const depth = (Object.keys(RESNETS).map(Number) as ResNetOptions['depth'][]).find((depth) =>
    SHORTCUTS.includes(convolutions - convolutionsOf(RESNETS[depth])),
  );
  const first = DIALECTS.map(({ locate }) => tensors.get(locate(FIRST)?.name ?? '')).find((found) => found);
  const channels = first?.dims[0];
  return {
    ...(depth !== undefined && { depth }),
    ...(channels !== undefined && { width: channels / FIRST_CHANNELS }),
  };
}
