/** The random rectangles: of a resized crop, of erasing, of CutMix. */
import type { Random } from '../random.ts';
import type { Range, ResizedCrop } from './options.ts';

/** Width and height in pixels. */
export interface Size {
  readonly width: number;
  readonly height: number;
}

/** A rectangle of whole pixels within a picture. */
export interface Box extends Size {
  readonly left: number;
  readonly top: number;
}

const TRIES = 10;

/**
 * The part that a random resized crop takes, as torchvision's `RandomResizedCrop.get_params`: share and ratio are drawn
 * until the part fits, and after ten failures it is the greatest central one of an allowed ratio.
 */
export function drawResizedCrop(random: Random, picture: Size, { scale, ratio }: ResizedCrop): Box {
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const size = drawSize(random, picture, scale, ratio);
    if (size.width > 0 && size.width <= picture.width && size.height > 0 && size.height <= picture.height) {
      return { ...size, ...drawPlace(random, size, picture) };
    }
  }
  const [least, most] = ratio;
  const own = picture.width / picture.height;
  const whole = (length: number, limit: number) => Math.min(limit, Math.max(1, Math.round(length)));
  const width = own > most ? whole(picture.height * most, picture.width) : picture.width;
  const height = own < least ? whole(picture.width / least, picture.height) : picture.height;
  return {
    left: Math.floor((picture.width - width) / 2),
    top: Math.floor((picture.height - height) / 2),
    width,
    height,
  };
}

/** The rectangle that is erased, as torchvision's `RandomErasing.get_params`; none when ten draws do not fit. */
export function drawErasure(random: Random, picture: Size): Box | undefined {
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const size = drawSize(random, picture, [0.02, 0.33], [0.3, 3.3]);
    if (size.width > 0 && size.width < picture.width && size.height > 0 && size.height < picture.height) {
      return { ...size, ...drawPlace(random, size, picture) };
    }
  }
  return undefined;
}

/** The rectangle that CutMix pastes: of the share 1 - lambda, about any place, cut at the picture's edges. */
export function drawPatch(random: Random, { width, height }: Size, lambda: number): Box {
  const half = 0.5 * Math.sqrt(1 - lambda);
  const x = random.integer(width);
  const y = random.integer(height);
  const left = Math.max(0, Math.trunc(x - half * width));
  const top = Math.max(0, Math.trunc(y - half * height));
  return {
    left,
    top,
    width: Math.min(width, Math.trunc(x + half * width)) - left,
    height: Math.min(height, Math.trunc(y + half * height)) - top,
  };
}

/** Uniform in area and in the logarithm of the ratio. */
function drawSize(random: Random, picture: Size, scale: Range, ratio: Range): Size {
  const area = picture.width * picture.height * between(random, scale);
  const aspect = Math.exp(between(random, [Math.log(ratio[0]), Math.log(ratio[1])]));
  return { width: Math.round(Math.sqrt(area * aspect)), height: Math.round(Math.sqrt(area / aspect)) };
}

function drawPlace(random: Random, part: Size, { width, height }: Size): { left: number; top: number } {
  const top = random.integer(height - part.height + 1);
  return { top, left: random.integer(width - part.width + 1) };
}

export function between(random: Random, [from, to]: Range): number {
  return from + (to - from) * random.uniform();
}
