import { describe, expect, it } from 'vitest';
import { plotRates, RateFinder, suggestRate } from '../../src/schedules/index.ts';

/** A run whose loss is a function of the rate. */
function sweep(loss: (rate: number) => number, options = { from: 1e-6, to: 10, steps: 141 }) {
  const finder = new RateFinder(options);
  while (!finder.done) finder.add(loss(finder.rate));
  return finder;
}

/** Flat, then falling around 1e-3, then shooting up beyond 1: what range tests look like. */
const typical = (rate: number) => 4 - 3 / (1 + Math.exp(-3 * (Math.log10(rate) + 3))) + Math.min(rate, 30) ** 4 * 10;

describe('the ramp', () => {
  it('grows by the same factor from step to step', () => {
    const { points, diverged } = sweep(() => 1, { from: 1e-4, to: 1, steps: 5 });
    expect(diverged).toBe(false);
    for (const [index, rate] of [1e-4, 1e-3, 1e-2, 1e-1, 1].entries())
      expect(points[index]?.rate).toBeCloseTo(rate, 12);
  });

  it('smooths the loss without a bias towards its beginning', () => {
    const finder = new RateFinder({ from: 1e-3, to: 1, steps: 4 });
    for (const loss of [1, 2, 3]) finder.add(loss);
    const expected = [1, (0.98 + 2) / 1.98, (0.98 ** 2 + 2 * 0.98 + 3) / (0.98 ** 2 + 0.98 + 1)];
    for (const [index, value] of expected.entries()) expect(finder.points[index]?.smoothed).toBeCloseTo(value, 12);
    expect(finder.points.map(({ loss }) => loss)).toEqual([1, 2, 3]);
  });

  it('ends when the smoothed loss is four times its best', () => {
    const { points, diverged, done } = sweep(typical);
    expect({ diverged, done }).toEqual({ diverged: true, done: true });
    const smoothed = points.map((point) => point.smoothed);
    expect(Math.max(...smoothed)).toBeLessThan(4 * Math.min(...smoothed));
    expect(points.at(-1)?.rate).toBeLessThan(10);
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY])('ends at a loss of %d', (loss) => {
    const { points, diverged } = sweep((rate) => (rate < 1e-3 ? 1 : loss));
    expect(diverged).toBe(true);
    expect(points.every((point) => point.rate < 1e-3 && Number.isFinite(point.smoothed))).toBe(true);
  });

  it.each([
    [{ from: 0, to: 1, steps: 10 }, 'expected rates that grow from above 0, received 0 to 1'],
    [{ from: 1, to: 0.1, steps: 10 }, 'received 1 to 0.1'],
    [{ from: 0.1, to: 1, steps: 1 }, 'steps: expected a whole number from 2 up, received 1'],
  ])('refuses %j', (options, message) => {
    expect(() => new RateFinder(options)).toThrow(
      expect.objectContaining({ code: 'OPTION', message: expect.stringContaining(message) }),
    );
  });
});

describe('the suggestion', () => {
  const unsmoothed = (loss: (rate: number) => number) =>
    Array.from({ length: 121 }, (_, step) => {
      const rate = 10 ** (-6 + step / 20);
      return { rate, loss: loss(rate), smoothed: loss(rate) };
    });

  it('is where the loss falls fastest, or a tenth of where it is lowest', () => {
    const points = unsmoothed((rate) => 4 - 3 / (1 + Math.exp(-3 * (Math.log10(rate) + 3))) + (rate / 0.3) ** 2);
    const found = suggestRate(points);
    expect(Math.log10(found?.steepest as number)).toBeCloseTo(-3, 0);
    const lowest = points.reduce((best, point) => (point.smoothed < best.smoothed ? point : best));
    expect(found?.minimumTenth).toBe(lowest.rate / 10);
  });

  it('does not fall for a drop beyond the minimum', () => {
    const points = unsmoothed((rate) => (rate < 1e-2 ? -Math.log10(rate) / 10 : rate < 0.1 ? 5 : 0.5));
    expect(suggestRate(points)?.steepest).toBeLessThan(1e-2);
  });

  it('is none when the loss never falls', () => {
    expect(suggestRate(unsmoothed((rate) => 1 + rate))).toBeUndefined();
    expect(suggestRate([])).toBeUndefined();
  });
});

describe('the plot', () => {
  const { points } = sweep(typical);
  const suggestion = suggestRate(points);
  const svg = plotRates(points, suggestion);

  it('has every smoothed loss within its frame, from left to right, higher losses higher up', () => {
    const line = /<polyline[^>]* points="([^"]+)"/.exec(svg)?.[1] as string;
    const places = line.split(' ').map((pair) => pair.split(',').map(Number) as [number, number]);
    expect(places).toHaveLength(points.length);
    for (const [x, y] of places) {
      expect(x >= 64 && x <= 624).toBe(true);
      expect(y >= 24 && y <= 352).toBe(true);
    }
    const xs = places.map(([x]) => x);
    expect(xs).toEqual(xs.toSorted((a, b) => a - b));
    const order = (values: number[]) => values.indexOf(Math.max(...values));
    expect(order(points.map(({ smoothed }) => smoothed))).toBe(order(places.map(([, y]) => -y)));
  });

  it('marks the suggestions and the powers of ten', () => {
    expect(svg).toContain(`steepest: ${suggestion?.steepest.toExponential(1)}`);
    expect(svg).toContain(`minimum / 10: ${suggestion?.minimumTenth.toExponential(1)}`);
    for (const power of [-6, -3, 0]) expect(svg).toContain(`>1e${power}</text>`);
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
  });

  it('of a loss that stays the same is a level line', () => {
    expect(plotRates(sweep(() => 2, { from: 1e-3, to: 1, steps: 3 }).points)).not.toMatch(/NaN|Infinity/);
  });
});
