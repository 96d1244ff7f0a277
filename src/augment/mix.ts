/**
 * Mixup (Zhang et al. 2017) and CutMix (Yun et al. 2019) of a batch: each picture with the one before it, the first with
 * the last, by one share for the whole batch, as torchvision's `MixUp` and `CutMix` do.
 */
import { Random } from '../random.ts';
import { type Box, drawPatch } from './geometry.ts';
import type { Augmentation } from './options.ts';

export type Mix =
  /** `lambda`: the share of a picture itself. */
  | { readonly kind: 'mixup'; readonly lambda: number }
  /** `box` is pasted; `lambda`: the share of the area that it leaves. */
  | { readonly kind: 'cutmix'; readonly lambda: number; readonly box: Box };

/**
 * @param batch number of the batch in its pass
 * @param imageSize side of the network's square, in pixels
 * @returns `undefined` when the augmentation mixes nothing
 */
export function drawMix(
  { mixup, cutmix }: Pick<Augmentation, 'mixup' | 'cutmix'>,
  { seed, pass, batch }: { readonly seed: number; readonly pass: number; readonly batch: number },
  imageSize: number,
): Mix | undefined {
  if (mixup === 0 && cutmix === 0) return undefined;
  const random = new Random(seed, 'mix', pass, batch);
  const pastes = cutmix > 0 && (mixup === 0 || random.uniform() < 0.5);
  const lambda = drawBeta(random, pastes ? cutmix : mixup);
  if (!pastes) return { kind: 'mixup', lambda };
  const box = drawPatch(random, { width: imageSize, height: imageSize }, lambda);
  return { kind: 'cutmix', lambda: 1 - (box.width * box.height) / imageSize ** 2, box };
}

/**
 * Mixes a batch in place.
 *
 * @param images RGB, uint8 [batch, imageSize, imageSize, 3]
 */
export function mixImages(images: Uint8Array, imageSize: number, mix: Mix): void {
  const stride = imageSize * imageSize * 3;
  const size = images.length / stride;
  const last = images.slice((size - 1) * stride);
  // From the last down, so that each picture's partner is still as it came.
  for (let place = size - 1; place >= 0; place--) {
    const picture = images.subarray(place * stride, (place + 1) * stride);
    const partner = place === 0 ? last : images.subarray((place - 1) * stride, place * stride);
    if (mix.kind === 'mixup') blend(picture, partner, mix.lambda);
    else paste(picture, partner, imageSize, mix.box);
  }
}

/**
 * The labels of a mixed batch, or of one that is not: then a 1 for each picture's class.
 *
 * @param labels [batch]
 * @returns [batch, classes], each row of sum 1
 */
export function softLabels(labels: BigInt64Array, classes: number, mix: Mix | undefined): Float32Array {
  const soft = new Float32Array(labels.length * classes);
  const lambda = mix?.lambda ?? 1;
  for (let place = 0; place < labels.length; place++) {
    const own = Number(labels[place]);
    const partner = Number(labels.at(place - 1));
    soft[place * classes + partner] = 1 - lambda;
    soft[place * classes + own] = own === partner ? 1 : lambda;
  }
  return soft;
}

/** Rounded to whole values, in 16-bit fixed point. */
function blend(picture: Uint8Array, partner: Uint8Array, lambda: number): void {
  const own = Math.round(lambda * 65536);
  const other = 65536 - own;
  for (let index = 0; index < picture.length; index++) {
    picture[index] = (picture[index]! * own + partner[index]! * other + 0x8000) >> 16;
  }
}

function paste(picture: Uint8Array, partner: Uint8Array, imageSize: number, { left, top, width, height }: Box): void {
  for (let y = top; y < top + height; y++) {
    const from = (y * imageSize + left) * 3;
    picture.set(partner.subarray(from, from + width * 3), from);
  }
}

/** Beta(alpha, alpha), from two gamma variates in logarithms: for a small alpha both may be too small for a double. */
export function drawBeta(random: Random, alpha: number): number {
  return 1 / (1 + Math.exp(logGamma(random, alpha) - logGamma(random, alpha)));
}

/** Logarithm of a gamma variate (Marsaglia and Tsang 2000). */
function logGamma(random: Random, shape: number): number {
  // A shape below 1 goes by that of shape + 1.
  if (shape < 1) return logGamma(random, shape + 1) + Math.log((random.uint32() + 1) / 2 ** 32) / shape;
  const d = shape - 1 / 3;
  for (;;) {
    const normal = random.normal();
    const cube = (1 + normal / Math.sqrt(9 * d)) ** 3;
    const log = Math.log((random.uint32() + 1) / 2 ** 32);
    if (cube > 0 && log < normal ** 2 / 2 + d - d * cube + d * Math.log(cube)) return Math.log(d * cube);
  }
}
