export { type Batch, type BatchOptions, batchCount, batches } from './batches.ts';
export { type BadImage, badImagesError, checkImages, withoutBadImages } from './check.ts';
export { type Dataset, openDataset, type Sample } from './dataset.ts';
export { IMAGE_EXTENSIONS } from './folder.ts';
export { decodeCentre, type ImageTransform, imageTransform } from './image.ts';
