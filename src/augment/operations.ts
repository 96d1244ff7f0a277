/**
 * Operations on a picture's pixels, as plain data and as loops. They give what Pillow gives, which is what torchvision
 * calls for PIL images; only the hue is turned as torchvision does it for tensors, since Pillow's way by an 8-bit HSV
 * loses colours even when it turns by nothing.
 */
import { saturate, turnHue } from './colour.ts';
import type { Size } from './geometry.ts';
import { sharpen } from './sharpness.ts';
import {
  applyTable,
  autocontrast,
  brightnessTable,
  contrastTable,
  equalize,
  posterizeTable,
  solarizeTable,
} from './tables.ts';
import { rotation, translate, warp } from './warp.ts';

/** RGB, uint8 [height, width, 3]. */
export interface Picture extends Size {
  readonly data: Uint8Array;
}

export type Operation =
  /** 0: black, 1: as it is. */
  | { readonly name: 'brightness'; readonly factor: number }
  /** 0: all in the mean grey, 1: as it is. */
  | { readonly name: 'contrast'; readonly factor: number }
  /** 0: grey, 1: as it is. */
  | { readonly name: 'saturation'; readonly factor: number }
  /** Turns of the colour circle, -0.5 to 0.5. */
  | { readonly name: 'hue'; readonly turns: number }
  /** 0: smoothed, 1: as it is, 2: sharpened. */
  | { readonly name: 'sharpness'; readonly factor: number }
  /** The highest bits, of 8, that are kept. */
  | { readonly name: 'posterize'; readonly bits: number }
  /** Values from here up are inverted. */
  | { readonly name: 'solarize'; readonly threshold: number }
  | { readonly name: 'autocontrast' }
  | { readonly name: 'equalize' }
  /** A row is moved left by this share of its distance to the top edge; what comes in is black, as below. */
  | { readonly name: 'shear-x'; readonly amount: number }
  /** A column is moved up by this share of its distance to the left edge. */
  | { readonly name: 'shear-y'; readonly amount: number }
  /** Whole pixels to the right and down. */
  | { readonly name: 'translate'; readonly x: number; readonly y: number }
  /** Counter-clockwise about the centre. */
  | { readonly name: 'rotate'; readonly degrees: number };

/** Does the operation to the picture's own pixels. */
export function applyOperation(picture: Picture, operation: Operation): void {
  const { data, width, height } = picture;
  switch (operation.name) {
    case 'brightness':
      applyTable(data, brightnessTable(operation.factor));
      break;
    case 'contrast':
      applyTable(data, contrastTable(data, operation.factor));
      break;
    case 'saturation':
      saturate(data, operation.factor);
      break;
    case 'hue':
      turnHue(data, operation.turns);
      break;
    case 'sharpness':
      sharpen(picture, operation.factor);
      break;
    case 'posterize':
      applyTable(data, posterizeTable(operation.bits));
      break;
    case 'solarize':
      applyTable(data, solarizeTable(operation.threshold));
      break;
    case 'autocontrast':
      autocontrast(data);
      break;
    case 'equalize':
      equalize(data);
      break;
    case 'shear-x':
      warp(picture, [1, operation.amount, 0, 0, 1, 0]);
      break;
    case 'shear-y':
      warp(picture, [1, 0, 0, operation.amount, 1, 0]);
      break;
    case 'translate':
      translate(picture, operation.x, operation.y);
      break;
    case 'rotate':
      warp(picture, rotation(operation.degrees, width, height));
      break;
  }
}
