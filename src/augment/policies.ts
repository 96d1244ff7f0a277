/** TrivialAugment (Müller and Hutter 2021) and RandAugment (Cubuk et al. 2020), with torchvision's spaces of operations. */
import type { Random } from '../random.ts';
import type { Operation } from './operations.ts';

/** Magnitudes go from 0 to this bin. */
const LAST_BIN = 30;

/** An operation of a magnitude from 0 to 1, with the sign drawn for the `signed`. */
interface Choice {
  readonly signed: boolean;
  /** `none` has no magnitude to draw. */
  readonly magnitude: 'none' | 'bin';
  of(magnitude: number): Operation | undefined;
}

interface Strengths {
  readonly shear: number;
  /** In pixels of a square of the given side. */
  translate(side: number): number;
  /** In degrees. */
  readonly rotate: number;
  readonly colour: number;
  /** Bits taken away. */
  readonly posterize: number;
}

function space(side: number, { shear, translate, rotate, colour, posterize }: Strengths): readonly Choice[] {
  const signed = (of: Choice['of']): Choice => ({ signed: true, magnitude: 'bin', of });
  const unsigned = (of: Choice['of']): Choice => ({ signed: false, magnitude: 'bin', of });
  const plain = (of: Choice['of']): Choice => ({ signed: false, magnitude: 'none', of });
  const pixels = (magnitude: number) => Math.trunc(magnitude * translate(side));
  return [
    plain(() => undefined),
    signed((magnitude) => ({ name: 'shear-x', amount: magnitude * shear })),
    signed((magnitude) => ({ name: 'shear-y', amount: magnitude * shear })),
    signed((magnitude) => ({ name: 'translate', x: pixels(magnitude), y: 0 })),
    signed((magnitude) => ({ name: 'translate', x: 0, y: pixels(magnitude) })),
    signed((magnitude) => ({ name: 'rotate', degrees: magnitude * rotate })),
    signed((magnitude) => ({ name: 'brightness', factor: 1 + magnitude * colour })),
    signed((magnitude) => ({ name: 'saturation', factor: 1 + magnitude * colour })),
    signed((magnitude) => ({ name: 'contrast', factor: 1 + magnitude * colour })),
    signed((magnitude) => ({ name: 'sharpness', factor: 1 + magnitude * colour })),
    unsigned((magnitude) => ({ name: 'posterize', bits: Math.round(8 - magnitude * posterize) })),
    unsigned((magnitude) => ({ name: 'solarize', threshold: 255 * (1 - magnitude) })),
    plain(() => ({ name: 'autocontrast' })),
    plain(() => ({ name: 'equalize' })),
  ];
}

const TRIVIAL: Strengths = { shear: 0.99, translate: () => 32, rotate: 135, colour: 0.99, posterize: 6 };
const RAND: Strengths = {
  shear: 0.3,
  translate: (side) => (150 / 331) * side,
  rotate: 30,
  colour: 0.9,
  posterize: 4,
};
const RAND_OPERATIONS = 2;
const RAND_BIN = 9;

/**
 * @param side of the square that the operations are for, in pixels
 * @returns the operations drawn, in order; the identity is left out
 */
export function drawPolicy(random: Random, policy: 'trivial' | 'rand', side: number): Operation[] {
  const choices = space(side, policy === 'trivial' ? TRIVIAL : RAND);
  const operations: Operation[] = [];
  for (let count = policy === 'trivial' ? 1 : RAND_OPERATIONS; count > 0; count--) {
    const { signed, magnitude, of } = choices[random.integer(choices.length)]!;
    let size = 0;
    if (magnitude === 'bin') size = (policy === 'trivial' ? random.integer(LAST_BIN + 1) : RAND_BIN) / LAST_BIN;
    const operation = of(signed && random.uniform() < 0.5 ? -size : size);
    if (operation) operations.push(operation);
  }
  return operations;
}
