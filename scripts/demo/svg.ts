/** The few words of SVG that the demo's flowers are made of. */
import type { Random } from '../../src/random.ts';

/** Hue in degrees, saturation and lightness in per cent. */
export type Colour = readonly [hue: number, saturation: number, lightness: number];

export function between(random: Random, low: number, high: number): number {
  return low + (high - low) * random.uniform();
}

/** A whole number from `low` to `high`, both possible. */
export function count(random: Random, low: number, high: number): number {
  return low + random.integer(high - low + 1);
}

export function pick<T>(random: Random, items: readonly T[]): T {
  return items[random.integer(items.length)]!;
}

/** No two flowers of a kind have quite the same colour. */
export function vary(random: Random, [hue, saturation, lightness]: Colour): Colour {
  return [hue + between(random, -7, 7), saturation + between(random, -8, 8), lightness + between(random, -4, 4)];
}

/** CSS colour; `lighter` is added to the lightness. */
export function css([hue, saturation, lightness]: Colour, lighter = 0): string {
  const percent = (value: number) => Math.round(Math.min(Math.max(value, 0), 100));
  return `hsl(${(Math.round(hue) + 360) % 360},${percent(saturation)}%,${percent(lightness + lighter)}%)`;
}

/** Numbers as SVG needs them: three decimals are finer than any pixel here and keep the text short. */
export function numbers(...values: readonly number[]): string {
  return values.map((value) => String(Math.round(value * 1000) / 1000)).join(' ');
}

export function circle(x: number, y: number, radius: number, fill: string): string {
  return `<circle cx="${numbers(x)}" cy="${numbers(y)}" r="${numbers(radius)}" fill="${fill}"/>`;
}

/** A gradient down the y axis from `from` to `to`, evenly through `colours`. */
export function gradient(id: string, from: number, to: number, colours: readonly string[]): string {
  const stops = colours.map(
    (colour, index) => `<stop offset="${numbers(index / (colours.length - 1))}" stop-color="${colour}"/>`,
  );
  return `<linearGradient id="${id}" gradientUnits="userSpaceOnUse" x1="0" x2="0" y1="${numbers(from)}" y2="${numbers(to)}">${stops.join('')}</linearGradient>`;
}

export interface PetalShape {
  readonly length: number;
  /** Distance of the curve's handles from the middle line; the petal comes out about 1.5 times as wide. */
  readonly width: number;
  /** Where it is widest: 0 at its base, 1 at its end. */
  readonly belly: number;
  /** 0 ends in a point, 1 and more is round. */
  readonly roundness: number;
}

/** A petal (or leaf) from the origin up to y = -length, as path data. */
export function petal({ length, width, belly, roundness }: PetalShape): string {
  const waist = -length * belly;
  const end = width * roundness;
  return `M0 0C${numbers(-width, waist, -end, -length, 0, -length)}C${numbers(end, -length, width, waist, 0, 0)}Z`;
}

/** Petals around the origin, each a little off its place and size. */
export function ring(
  random: Random,
  shape: PetalShape,
  options: { readonly petals: number; readonly turn: number; readonly fill: string; readonly edge: string },
): string {
  const step = 360 / options.petals;
  const paths = Array.from({ length: options.petals }, (_, index) => {
    const angle = options.turn + index * step + between(random, -0.12, 0.12) * step;
    const scale = between(random, 0.92, 1.04);
    return `<path d="${petal(shape)}" transform="rotate(${numbers(angle)}) scale(${numbers(scale)})"/>`;
  });
  return `<g fill="${options.fill}" stroke="${options.edge}" stroke-width="0.025">${paths.join('')}</g>`;
}
