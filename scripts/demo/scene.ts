/** What stands behind and around the flowers: out of focus, of any kind for any species. */
import type { Random } from '../../src/random.ts';
import { between, type Colour, count, css, gradient, numbers, petal, pick, vary } from './svg.ts';

/** Backgrounds: the colours from top to bottom, and those of the blurred patches. */
const PLACES: readonly { readonly sky: readonly Colour[]; readonly patches: readonly Colour[] }[] = [
  // Foliage
  {
    sky: [
      [112, 38, 30],
      [96, 42, 20],
    ],
    patches: [
      [100, 44, 38],
      [128, 34, 18],
      [78, 48, 46],
    ],
  },
  // Open sky over a meadow
  {
    sky: [
      [206, 62, 74],
      [198, 50, 84],
      [92, 40, 46],
    ],
    patches: [
      [200, 30, 92],
      [96, 42, 40],
      [70, 44, 58],
    ],
  },
  // Soil
  {
    sky: [
      [28, 32, 32],
      [24, 36, 20],
    ],
    patches: [
      [30, 30, 42],
      [20, 34, 14],
      [96, 36, 28],
    ],
  },
  // Evening light
  {
    sky: [
      [32, 66, 72],
      [348, 36, 58],
      [250, 26, 38],
    ],
    patches: [
      [42, 70, 76],
      [290, 24, 42],
      [110, 24, 30],
    ],
  },
  // Shade of trees
  {
    sky: [
      [176, 24, 24],
      [150, 28, 14],
    ],
    patches: [
      [168, 26, 36],
      [140, 30, 20],
      [190, 22, 46],
    ],
  },
];

/** Background of a picture of 100 x 100. */
export function background(random: Random): string {
  const place = pick(random, PLACES);
  const patches = Array.from({ length: count(random, 5, 9) }, () => {
    const colour = vary(random, pick(random, place.patches));
    const [x, y] = [between(random, 0, 100), between(random, 0, 100)];
    const [rx, ry] = [between(random, 8, 26), between(random, 8, 26)];
    const opacity = between(random, 0.35, 0.8);
    return `<ellipse cx="${numbers(x)}" cy="${numbers(y)}" rx="${numbers(rx)}" ry="${numbers(ry)}" fill="${css(colour)}" fill-opacity="${numbers(opacity)}"/>`;
  });
  return [
    gradient(
      'sky',
      0,
      100,
      place.sky.map((colour) => css(vary(random, colour))),
    ),
    `<filter id="blur" x="-0.5" y="-0.5" width="2" height="2"><feGaussianBlur stdDeviation="${numbers(between(random, 3, 7))}"/></filter>`,
    '<rect width="100" height="100" fill="url(#sky)"/>',
    `<g filter="url(#blur)">${patches.join('')}</g>`,
    blades(random),
  ].join('');
}

/** Leaves of grass from the lower edge, none to seven. */
function blades(random: Random): string {
  return Array.from({ length: count(random, 0, 7) }, () => {
    const shape = { length: between(random, 25, 75), width: between(random, 2, 5), belly: 0.4, roundness: 0 };
    const green: Colour = [between(random, 80, 130), between(random, 28, 48), between(random, 22, 44)];
    const place = `translate(${numbers(between(random, 0, 100))} 102) rotate(${numbers(between(random, -32, 32))})`;
    return `<path d="${petal(shape)}" transform="${place}" fill="${css(green)}" fill-opacity="0.85"/>`;
  }).join('');
}

/** Light on the whole picture: a little darker or brighter, and darker towards the corners. */
export function light(random: Random): string {
  const shade = between(random, -0.16, 0.12);
  return [
    `<radialGradient id="corners" r="0.75"><stop offset="0.55" stop-opacity="0"/><stop offset="1" stop-opacity="${numbers(between(random, 0.1, 0.4))}"/></radialGradient>`,
    `<rect width="100" height="100" fill="${shade < 0 ? 'black' : 'white'}" fill-opacity="${numbers(Math.abs(shade))}"/>`,
    '<rect width="100" height="100" fill="url(#corners)"/>',
  ].join('');
}
