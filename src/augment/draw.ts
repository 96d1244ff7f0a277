/**
 * What is done to one picture in one pass, drawn as plain data. It depends on (seed, pass, index) alone, and each kind of
 * augmentation has a stream of its own: turning one on changes nothing about the others.
 */
import { Random } from '../random.ts';
import { type Box, between, drawErasure, drawResizedCrop, type Size } from './geometry.ts';
import type { Operation } from './operations.ts';
import type { Augmentation, ColourJitter } from './options.ts';
import { drawPolicy } from './policies.ts';

/** Whose draw it is. */
export interface Draw {
  readonly seed: number;
  readonly pass: number;
  /** Place of the picture in the list of samples. */
  readonly index: number;
}

/** Where a square is cut from a picture whose short side was scaled: 0 left (top), 1 just beyond the last place. */
export interface Place {
  readonly x: number;
  readonly y: number;
}

export interface PictureChanges {
  readonly crop: Place | Box;
  readonly flip: boolean;
  /** Done to the network's square, in order. */
  readonly operations: readonly Operation[];
  /** Part of the square that is painted over. */
  readonly erase: Box | undefined;
}

/**
 * @param picture size of the decoded picture; a resized crop is a part of it
 * @param imageSize side of the network's square, in pixels
 */
export function drawChanges(
  augmentation: Augmentation,
  { seed, pass, index }: Draw,
  picture: Size,
  imageSize: number,
): PictureChanges {
  const { crop, flip, colourJitter, policy, erasing } = augmentation;
  const stream = (purpose: string) => new Random(seed, purpose, pass, index);
  // The three numbers of the plain crop, in the order that runs have always drawn them.
  const place = stream('augment');
  const [x, y, mirror] = [place.uniform(), place.uniform(), place.uniform()];
  const eraser = stream('erasing');
  return {
    crop: crop === 'resize-crop' ? { x, y } : drawResizedCrop(stream('resized-crop'), picture, crop),
    flip: mirror < flip,
    operations: [
      ...(policy === 'none' ? [] : drawPolicy(stream('policy'), policy, imageSize)),
      ...drawJitter(stream('colour-jitter'), colourJitter),
    ],
    erase: eraser.uniform() < erasing ? drawErasure(eraser, { width: imageSize, height: imageSize }) : undefined,
  };
}

/** The four changes in random order, as torchvision's `ColorJitter`; one that cannot change anything is left out. */
function drawJitter(random: Random, { brightness, contrast, saturation, hue }: ColourJitter): Operation[] {
  const order = random.permutation(4);
  const factor = (most: number) => between(random, [Math.max(0, 1 - most), 1 + most]);
  const operations: readonly (Operation | undefined)[] = [
    brightness > 0 ? { name: 'brightness', factor: factor(brightness) } : undefined,
    contrast > 0 ? { name: 'contrast', factor: factor(contrast) } : undefined,
    saturation > 0 ? { name: 'saturation', factor: factor(saturation) } : undefined,
    hue > 0 ? { name: 'hue', turns: between(random, [-hue, hue]) } : undefined,
  ];
  return Array.from(order, (place) => operations[place]).filter((operation) => operation !== undefined);
}
