/** What may be done to training pictures, and the check of its values. */
import { OrtuneError } from '../errors.ts';

/** Least and greatest. */
export type Range = readonly [number, number];

/** Random resized crop (Szegedy et al. 2014): a part of the picture, scaled to the network's square. */
export interface ResizedCrop {
  /** Share of the picture's area, within (0, 1]. */
  readonly scale: Range;
  /** Width / height of the part. */
  readonly ratio: Range;
}

/** Greatest change of each; 0 leaves it alone. */
export interface ColourJitter {
  /** Factors from 1 - x (at least 0) to 1 + x. */
  readonly brightness: number;
  readonly contrast: number;
  readonly saturation: number;
  /** In turns of the colour circle, at most 0.5. */
  readonly hue: number;
}

/** Applied in this order; mixup and CutMix to whole batches. */
export interface Augmentation {
  /** `resize-crop`: the short side scaled as in testing, the square anywhere in the picture. */
  readonly crop: 'resize-crop' | ResizedCrop;
  /** Probability that a picture is mirrored left to right. */
  readonly flip: number;
  readonly colourJitter: ColourJitter;
  /** `trivial`: TrivialAugment (wide), one operation; `rand`: RandAugment, two of magnitude 9 out of 31. */
  readonly policy: 'none' | 'trivial' | 'rand';
  /** Probability that a rectangle of 2 to 33 % is painted over with the mean colour. */
  readonly erasing: number;
  /** Alpha of Beta(alpha, alpha), from which the share of a picture in its mixture comes; 0: no mixup. */
  readonly mixup: number;
  /** The same for pasted rectangles; 0: no CutMix. With both, each batch gets one of them at random. */
  readonly cutmix: number;
}

const NO_JITTER: ColourJitter = { brightness: 0, contrast: 0, saturation: 0, hue: 0 };

/** The usual part of 8 to 100 % of the area, from 3:4 to 4:3. */
const RESIZED_CROP: ResizedCrop = { scale: [0.08, 1], ratio: [3 / 4, 4 / 3] };

/** Random crop and flip. */
export const AUGMENTATION_DEFAULTS: Augmentation = {
  crop: 'resize-crop',
  flip: 0.5,
  colourJitter: NO_JITTER,
  policy: 'none',
  erasing: 0,
  mixup: 0,
  cutmix: 0,
};

/** What a user may leave out. */
export interface AugmentationOptions extends Partial<Omit<Augmentation, 'colourJitter' | 'crop'>> {
  readonly crop?: 'resize-crop' | Partial<ResizedCrop>;
  readonly colourJitter?: Partial<ColourJitter>;
}

/**
 * Fills in the defaults.
 *
 * @throws OrtuneError `AUGMENT_OPTION` naming the value, what was expected and what came
 */
export function checkAugmentation(options: AugmentationOptions = {}): Augmentation {
  knownKeys('augmentation', options, AUGMENTATION_DEFAULTS);
  const augmentation: Augmentation = {
    ...AUGMENTATION_DEFAULTS,
    ...options,
    crop: checkCrop(options.crop ?? AUGMENTATION_DEFAULTS.crop),
    colourJitter: checkJitter(options.colourJitter ?? {}),
  };
  const { flip, policy, erasing, mixup, cutmix } = augmentation;
  number('flip', flip, 0, 1);
  number('erasing', erasing, 0, 1);
  number('mixup', mixup, 0, Number.MAX_VALUE);
  number('cutmix', cutmix, 0, Number.MAX_VALUE);
  if (!['none', 'trivial', 'rand'].includes(policy)) fail('policy', 'one of none, trivial, rand', policy);
  return augmentation;
}

function checkCrop(crop: 'resize-crop' | Partial<ResizedCrop>): Augmentation['crop'] {
  if (crop === 'resize-crop') return crop;
  if (typeof crop !== 'object' || crop === null) fail('crop', "'resize-crop' or { scale, ratio }", crop);
  knownKeys('crop', crop, RESIZED_CROP);
  const { scale, ratio } = { ...RESIZED_CROP, ...crop };
  range('crop.scale', scale, 1);
  // Beyond 100 to 1 nothing that a network could know is left of most pictures.
  range('crop.ratio', ratio, 100);
  return { scale, ratio };
}

function checkJitter(jitter: Partial<ColourJitter>): ColourJitter {
  if (typeof jitter !== 'object' || jitter === null) {
    fail('colourJitter', '{ brightness, contrast, saturation, hue }', jitter);
  }
  knownKeys('colourJitter', jitter, NO_JITTER);
  const all = { ...NO_JITTER, ...jitter };
  for (const name of ['brightness', 'contrast', 'saturation'] as const)
    number(`colourJitter.${name}`, all[name], 0, 10);
  number('colourJitter.hue', all.hue, 0, 0.5);
  return all;
}

function number(name: string, value: unknown, least: number, most: number): void {
  if (typeof value === 'number' && value >= least && value <= most) return;
  fail(name, most === Number.MAX_VALUE ? `a number from ${least} up` : `a number from ${least} to ${most}`, value);
}

function range(name: string, value: unknown, most: number): void {
  if (Array.isArray(value) && value.length === 2) {
    const [from, to] = value;
    if (typeof from === 'number' && typeof to === 'number' && from > 0 && from <= to && to <= most) return;
  }
  fail(name, `two rising numbers above 0 and at most ${most}`, value);
}

function knownKeys(name: string, value: object, known: object): void {
  const unknown = Object.keys(value).find((key) => !(key in known));
  if (unknown !== undefined) fail(name, `only ${Object.keys(known).join(', ')}`, unknown);
}

function fail(name: string, expected: string, received: unknown): never {
  const shown = typeof received === 'object' ? JSON.stringify(received) : String(received);
  throw new OrtuneError('AUGMENT_OPTION', `${name}: expected ${expected}, received ${shown}.`);
}
