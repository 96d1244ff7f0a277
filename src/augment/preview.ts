/** What augmentation makes of some pictures, to look at. */
import { DecodedCache } from '../data/decoded-cache.ts';
import { type Dataset, imageTransform } from '../data/index.ts';
import { drawContactSheet } from './contact-sheet.ts';
import { drawMix, mixImages } from './mix.ts';
import type { Augmentation } from './options.ts';
import { readSquare } from './read.ts';

export interface PreviewOptions {
  readonly augmentation: Augmentation;
  /** Places of the pictures in the training split: a row each. With mixup or CutMix they are one batch. */
  readonly chosen: readonly number[];
  /** Columns beside the first, which is as tested. */
  readonly passes: number;
  /** Side of a square in pixels. */
  readonly imageSize: number;
  /** Of the run that is shown. */
  readonly seed: number;
}

/**
 * Draws pictures as they are tested (left) and as they are trained on in the first passes.
 *
 * @returns a PNG file
 * @throws OrtuneError `IMAGE_UNREADABLE` naming the file
 */
export async function drawPreview(
  { train, classes }: Pick<Dataset, 'train' | 'classes'>,
  options: PreviewOptions,
): Promise<Uint8Array> {
  const { chosen, passes, imageSize } = options;
  const columns = await squares(train, options);
  return drawContactSheet({
    columns: ['as tested', ...Array.from({ length: passes }, (_, pass) => `pass ${pass}`)],
    rows: chosen.map((index, row) => ({
      label: classes[train[index]!.label]!,
      squares: columns.map((column) => column[row]!),
    })),
    imageSize,
  });
}

/** By column, then row: as tested, then each pass. */
async function squares(
  train: Dataset['train'],
  { chosen, augmentation, passes, imageSize, seed }: PreviewOptions,
): Promise<Uint8Array[][]> {
  await using cache = new DecodedCache();
  const read = { cache, transform: imageTransform(imageSize) };
  const columns = [await Promise.all(chosen.map((index) => readSquare(train[index]!, read)))];
  const stride = imageSize * imageSize * 3;
  for (let pass = 0; pass < passes; pass++) {
    const images = new Uint8Array(chosen.length * stride);
    for (const [place, index] of chosen.entries()) {
      const training = { augmentation, draw: { seed, pass, index } };
      images.set(await readSquare(train[index]!, { ...read, training }), place * stride);
    }
    const mix = drawMix(augmentation, { seed, pass, batch: 0 }, imageSize);
    if (mix) mixImages(images, imageSize, mix);
    columns.push(chosen.map((_, place) => images.subarray(place * stride, (place + 1) * stride)));
  }
  return columns;
}
