/** From a sample to the network's square, by way of the decoded pictures. */
import type { DecodedCache } from '../data/decoded-cache.ts';
import { decodeCrop, type ImageTransform, type PictureScale, readPicture } from '../data/image.ts';
import type { Sample } from '../data/sample.ts';
import { applyChanges, changeSquare, cutSquare } from './apply.ts';
import { type Draw, drawChanges } from './draw.ts';
import type { Augmentation } from './options.ts';

export interface SquareOptions {
  readonly cache: DecodedCache;
  /** Sizes of the square, and of the short side that it is cut from in testing and by the crop `resize-crop`. */
  readonly transform: ImageTransform;
  /** What is done to it, and whose draw it is; without it the centre, as in testing. */
  readonly training?: { readonly augmentation: Augmentation; readonly draw: Draw } | undefined;
}

/**
 * The scale at which pictures are decoded and kept. For resized crops: at which the smallest square crop still has as
 * many pixels as the network's square, so that none is made from fewer than the file gives it; never enlarged.
 */
export function sourceScale(crop: Augmentation['crop'], { imageSize, resizeSize }: ImageTransform): PictureScale {
  if (crop === 'resize-crop') return { shortSide: resizeSize, enlarge: true };
  return { shortSide: Math.ceil(imageSize / Math.sqrt(crop.scale[0])), enlarge: false };
}

/**
 * The square that the network sees. It depends on the picture, the options and the draw alone.
 *
 * @returns RGB, uint8 [imageSize, imageSize, 3]
 * @throws OrtuneError `IMAGE_UNREADABLE` or `IMAGE_CHANGED` naming the file
 */
export async function readSquare(
  sample: Pick<Sample, 'file' | 'range'>,
  { cache, transform, training }: SquareOptions,
): Promise<Uint8Array> {
  const { imageSize } = transform;
  const picture = await cache.get(sample, sourceScale(training?.augmentation.crop ?? 'resize-crop', transform));
  if (!training) {
    return picture ? cutSquare(picture, undefined, imageSize, false) : decodeLong(sample, transform, undefined);
  }
  const { augmentation, draw } = training;
  // Where there is no picture the crop is a place, which no size is needed for.
  const changes = drawChanges(augmentation, draw, picture ?? { width: imageSize, height: imageSize }, imageSize);
  if (picture) return applyChanges(picture, changes, imageSize);
  if ('width' in changes.crop) throw new Error('pictures for resized crops are not enlarged, so they are always kept');
  const square = await decodeLong(sample, transform, { ...changes.crop, flip: changes.flip });
  changeSquare(square, changes, imageSize);
  return square;
}

async function decodeLong(
  sample: Pick<Sample, 'file' | 'range'>,
  transform: ImageTransform,
  crop: Parameters<typeof decodeCrop>[2],
): Promise<Uint8Array> {
  return decodeCrop(await readPicture(sample), transform, crop, sample.file);
}
