/** The changes drawn for a picture, done to its pixels. A whole 128 x 128 picture takes a fraction of a millisecond. */

import type { PictureChanges, Place } from './draw.ts';
import type { Box } from './geometry.ts';
import { applyOperation, type Picture } from './operations.ts';
import { resizedCrop } from './resample.ts';

/** ImageNet's mean colour: near 0 to the network, whatever normalisation it has. */
const MEAN = [124, 116, 104] as const;

/**
 * @param picture decoded, at least `imageSize` wide and high where the crop is a place
 * @returns RGB, uint8 [imageSize, imageSize, 3]
 */
export function applyChanges(picture: Picture, changes: PictureChanges, imageSize: number): Uint8Array {
  const { crop, flip } = changes;
  const square =
    'width' in crop ? resizedCrop(picture, crop, imageSize, flip) : cutSquare(picture, crop, imageSize, flip);
  changeSquare(square, changes, imageSize);
  return square;
}

/** What comes after the crop: changes the square's own pixels. */
export function changeSquare(
  data: Uint8Array,
  { operations, erase }: Pick<PictureChanges, 'operations' | 'erase'>,
  imageSize: number,
): void {
  const square = { data, width: imageSize, height: imageSize };
  for (const operation of operations) applyOperation(square, operation);
  if (erase) paint(square, erase, MEAN);
}

/**
 * Cuts a square out of a picture at its own scale.
 *
 * @param place `undefined`: the centre
 */
export function cutSquare(
  { data, width, height }: Picture,
  place: Place | undefined,
  size: number,
  mirror: boolean,
): Uint8Array {
  const left = offset(width - size, place?.x);
  const top = offset(height - size, place?.y);
  const square = new Uint8Array(size * size * 3);
  for (let y = 0; y < size; y++) {
    const from = ((top + y) * width + left) * 3;
    const row = data.subarray(from, from + size * 3);
    if (!mirror) {
      square.set(row, y * size * 3);
      continue;
    }
    for (let x = 0; x < size; x++) {
      const to = (y * size + size - 1 - x) * 3;
      square[to] = row[x * 3]!;
      square[to + 1] = row[x * 3 + 1]!;
      square[to + 2] = row[x * 3 + 2]!;
    }
  }
  return square;
}

/** First of `room` + 1 places; the middle one when none is given. */
export function offset(room: number, at: number | undefined): number {
  return Math.floor(at === undefined ? room / 2 : at * (room + 1));
}

function paint({ data, width }: Picture, box: Box, [red, green, blue]: readonly [number, number, number]): void {
  for (let y = box.top; y < box.top + box.height; y++) {
    for (let x = box.left; x < box.left + box.width; x++) {
      const to = (y * width + x) * 3;
      data[to] = red;
      data[to + 1] = green;
      data[to + 2] = blue;
    }
  }
}
