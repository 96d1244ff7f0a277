export { type Batch, type BatchOptions, batchCount, batches, passOrder, pictureCount } from './batches.ts';
export { type BadImage, badImagesError, checkImages, withoutBadImages } from './check.ts';
export { type Dataset, type OpenOptions, openDataset } from './dataset.ts';
export { type CacheUse, DecodedCache } from './decoded-cache.ts';
export { IMAGE_EXTENSIONS } from './folder.ts';
export { decodeCentre, type ImageTransform, imageTransform } from './image.ts';
export { mirrorImages } from './mirror.ts';
export { nameOf } from './picture-name.ts';
export { type ByteRange, readSample, type Sample } from './sample.ts';
