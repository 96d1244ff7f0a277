/** Six kinds of flower. They differ in form first: each comes in several colours, and most colours in several kinds. */
import type { Random } from '../../src/random.ts';
import { between, type Colour, circle, count, css, gradient, numbers, petal, pick, ring } from './svg.ts';

export interface Species {
  readonly name: string;
  /** The first is the common one, the others are garden forms. */
  readonly colours: readonly Colour[];
  /** Seen from the side, so it stands upright; the others are seen from above and may be turned anyhow. */
  readonly upright: boolean;
  /**
   * SVG of one blossom about the origin, about 1 in radius.
   *
   * @param id prefix for the names of its gradients, its own within the picture
   */
  blossom(random: Random, colour: Colour, id: string): string;
}

const WHITE: Colour = [50, 20, 94];
const YELLOW: Colour = [45, 95, 56];
const ORANGE: Colour = [26, 92, 54];
const RED: Colour = [2, 82, 46];
const PINK: Colour = [335, 70, 72];
const PURPLE: Colour = [282, 48, 44];
const BLUE: Colour = [232, 62, 56];
const STEM: Colour = [104, 42, 34];

export const SPECIES: readonly Species[] = [
  { name: 'bluebell', colours: [BLUE, PURPLE, PINK, WHITE], upright: true, blossom: bluebell },
  { name: 'daisy', colours: [WHITE, PINK, YELLOW, PURPLE], upright: false, blossom: daisy },
  { name: 'iris', colours: [PURPLE, BLUE, YELLOW, WHITE], upright: false, blossom: iris },
  { name: 'poppy', colours: [RED, ORANGE, PINK, WHITE], upright: false, blossom: poppy },
  { name: 'sunflower', colours: [YELLOW, ORANGE, RED, WHITE], upright: false, blossom: sunflower },
  { name: 'tulip', colours: [PINK, RED, YELLOW, PURPLE], upright: true, blossom: tulip },
];

/** Many narrow petals in one ring about a small yellow button. */
function daisy(random: Random, colour: Colour, id: string): string {
  const shape = { length: 1, width: between(random, 0.16, 0.2), belly: 0.7, roundness: 0.9 };
  const options = { petals: count(random, 13, 18), turn: 0, fill: `url(#${id})`, edge: css(colour, -22) };
  const button = between(random, 0.24, 0.3);
  const grains = Array.from({ length: 14 }, () => {
    const angle = between(random, 0, 2 * Math.PI);
    const distance = button * Math.sqrt(random.uniform()) * 0.85;
    return circle(distance * Math.cos(angle), distance * Math.sin(angle), 0.035, css(YELLOW, pick(random, [-14, 12])));
  });
  return [
    gradient(id, 0, -1, [css(colour, -16), css(colour), css(colour, 5)]),
    ring(random, shape, options),
    circle(0, 0, button, css(YELLOW, -6)),
    ...grains,
  ].join('');
}

/** Two rings of pointed petals about a wide dark disc, its seeds in the spiral of the golden angle. */
function sunflower(random: Random, colour: Colour, id: string): string {
  const petals = count(random, 15, 20);
  const shape = { length: 1, width: 0.2, belly: 0.75, roundness: 0.1 };
  const edge = css(colour, -20);
  const disc = between(random, 0.46, 0.54);
  const brown: Colour = [between(random, 18, 34), 48, between(random, 16, 24)];
  const seeds = Array.from({ length: 60 }, (_, index) => {
    const distance = disc * 0.95 * Math.sqrt((index + 0.5) / 60);
    const angle = index * 2.39996;
    return circle(distance * Math.cos(angle), distance * Math.sin(angle), 0.026, css(brown, index < 24 ? -8 : 16));
  });
  return [
    gradient(`${id}a`, -0.4, -1, [css(colour, -20), css(colour, -8)]),
    gradient(`${id}b`, -0.4, -1, [css(colour, -12), css(colour, 4)]),
    ring(random, shape, { petals, turn: 180 / petals, fill: `url(#${id}a)`, edge }),
    ring(random, { ...shape, length: 0.92 }, { petals, turn: 0, fill: `url(#${id}b)`, edge }),
    circle(0, 0, disc, css(brown)),
    ...seeds,
  ].join('');
}

/** Four broad overlapping petals with dark blotches, about a green pod among black stamens. */
function poppy(random: Random, colour: Colour, id: string): string {
  const edge = css(colour, -16);
  const back = { length: 1, width: 1.02, belly: 0.6, roundness: 1 };
  const front = { ...back, length: 0.94, width: 0.9 };
  const blotches = between(random, 0.3, 0.42);
  const options = { petals: 4, turn: 45, fill: '#1d1420', edge: 'none' };
  const stamens = Array.from({ length: 18 }, (_, index) => {
    const angle = (index / 18) * 2 * Math.PI;
    const distance = between(random, 0.24, 0.32);
    return circle(distance * Math.cos(angle), distance * Math.sin(angle), 0.035, '#17121c');
  });
  return [
    gradient(id, 0, -1, [css(colour, -18), css(colour), css(colour, 8)]),
    ring(random, back, { petals: 2, turn: 0, fill: `url(#${id})`, edge }),
    ring(random, front, { petals: 2, turn: 90, fill: `url(#${id})`, edge }),
    ring(random, { length: blotches, width: 0.24, belly: 0.7, roundness: 0.8 }, options),
    ...stamens,
    circle(0, 0, 0.16, css([88, 34, 56])),
    circle(0, 0, 0.07, css([88, 34, 38])),
  ].join('');
}

/** Three broad falls, each with a yellow signal, and three narrow standards between them. */
function iris(random: Random, colour: Colour, id: string): string {
  const fall = { length: 1, width: 0.56, belly: 0.95, roundness: 1 };
  const standard = { length: between(random, 0.62, 0.74), width: 0.2, belly: 0.6, roundness: 0.5 };
  const signal = { length: 0.52, width: 0.13, belly: 0.6, roundness: 0.3 };
  // On a yellow or white iris the signal would not show without a darker edge.
  const warm: Colour = [40, 95, 52];
  const falls = [0, 120, 240].map((angle) => {
    const bend = angle + between(random, -6, 6);
    const veins = [-16, -7, 7, 16].map((vein) => `<path d="M0 -0.3V-0.82" transform="rotate(${vein})"/>`).join('');
    return [
      `<g transform="rotate(${numbers(bend)})">`,
      `<path d="${petal(fall)}" fill="url(#${id}a)" stroke="${css(colour, -20)}" stroke-width="0.025"/>`,
      `<g stroke="${css(colour, -18)}" stroke-width="0.022" stroke-opacity="0.7">${veins}</g>`,
      `<path d="${petal(signal)}" fill="${css(warm)}" stroke="${css(warm, -18)}" stroke-width="0.02"/></g>`,
    ].join('');
  });
  return [
    gradient(`${id}a`, 0, -1, [css(colour, 14), css(colour), css(colour, -8)]),
    gradient(`${id}b`, 0, -0.7, [css(colour, -16), css(colour, 14)]),
    ...falls,
    ring(random, standard, { petals: 3, turn: 60, fill: `url(#${id}b)`, edge: css(colour, -20) }),
    circle(0, 0, 0.1, css(colour, -14)),
  ].join('');
}

/** A cup of pointed petals on a straight stem between two long leaves. */
function tulip(random: Random, colour: Colour, id: string): string {
  const width = between(random, 0.92, 1.12);
  const leaf = (side: number) => {
    const shape = { length: between(random, 1.5, 1.9), width: 0.3, belly: 0.5, roundness: 0 };
    return `<path d="${petal(shape)}" fill="${css(STEM, between(random, 0, 10))}" transform="translate(0 2.6) rotate(${numbers(side * between(random, 14, 26))})"/>`;
  };
  const outer = (side: number) =>
    `<path d="M0 0.85C${numbers(side * 0.75 * width, 0.85, side * 0.95 * width, 0.1, side * 0.62 * width, -0.9)}C${numbers(side * 0.3, -0.5, 0, 0.1, 0, 0.85)}Z" fill="url(#${id}b)"/>`;
  const back = [-0.3, 0.3].map(
    (shift) =>
      `<path d="${petal({ length: 1.5, width: 0.5, belly: 0.6, roundness: 0.1 })}" transform="translate(${numbers(shift * width)} 0.7)" fill="${css(colour, -14)}"/>`,
  );
  return [
    gradient(`${id}a`, 0, -1.6, [css(colour, -10), css(colour, 4), css(colour, 12)]),
    gradient(`${id}b`, 0.9, -0.9, [css(colour, -14), css(colour)]),
    `<path d="M0 0.7Q${numbers(between(random, -0.2, 0.2), 2)} 0 7" fill="none" stroke="${css(STEM, 6)}" stroke-width="0.15"/>`,
    leaf(-1),
    leaf(1),
    `<g stroke="${css(colour, -24)}" stroke-width="0.025">`,
    ...back,
    outer(-1),
    outer(1),
    `<path d="${petal({ length: 1.62, width: 0.62 * width, belly: 0.5, roundness: 0.12 })}" transform="translate(0 0.86)" fill="url(#${id}a)"/></g>`,
  ].join('');
}

/** Bells with curled rims hanging in two rows from an arching stem. */
function bluebell(random: Random, colour: Colour, id: string): string {
  const lean = pick(random, [-1, 1]);
  const bells = count(random, 5, 7);
  // Straight up from below the picture, then a quadratic curve over the top to the drooping tip.
  const stem = { from: [-0.6, 0.9], over: [-0.65, -1.75], to: [0.95, -0.6] } as const;
  const at = (share: number, axis: 0 | 1) =>
    (1 - share) ** 2 * stem.from[axis] + 2 * share * (1 - share) * stem.over[axis] + share ** 2 * stem.to[axis];
  const bell = 'M-0.1 0C-0.2 0.1 -0.17 0.35 -0.3 0.54L-0.15 0.5L0 0.58L0.15 0.5L0.3 0.54C0.17 0.35 0.2 0.1 0.1 0Z';
  const hanging = Array.from({ length: bells }, (_, index) => {
    const share = 0.2 + (0.8 * index) / (bells - 1);
    const angle = (index % 2 ? -1 : 1) * between(random, 18, 34);
    const size = between(random, 1.05, 1.2) * (1.2 - 0.35 * share);
    return `<g transform="translate(${numbers(at(share, 0), at(share, 1))}) rotate(${numbers(angle)})"><path d="M0 0V0.12" stroke="${css(STEM)}" stroke-width="0.05"/><path d="${bell}" transform="translate(0 0.08) scale(${numbers(size)})" fill="url(#${id})" stroke="${css(colour, -20)}" stroke-width="0.025"/></g>`;
  });
  return [
    gradient(id, 0, 0.58, [css(colour, -10), css(colour), css(colour, 12)]),
    `<g transform="scale(${lean} 1)">`,
    `<path d="M-0.5 7L${numbers(...stem.from)}Q${numbers(...stem.over, ...stem.to)}" fill="none" stroke="${css(STEM)}" stroke-width="0.09"/>`,
    ...hanging,
    '</g>',
  ].join('');
}
