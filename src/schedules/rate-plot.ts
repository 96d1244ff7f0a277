import type { RatePoint, RateSuggestion } from './rate-finder.ts';

const [WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM] = [640, 400, 64, 24, 16, 48];

/**
 * A range test as a picture: the smoothed loss as a line and each step's own as dots over the rate, on a logarithmic
 * axis, with the suggestions marked.
 *
 * @param points at least two
 * @returns the text of an SVG file
 */
export function plotRates(points: readonly RatePoint[], suggestion?: RateSuggestion): string {
  const [first, last] = [points[0], points.at(-1)];
  if (!first || !last || first === last) throw new Error(`expected two points or more, received ${points.length}`);
  const [from, to] = [Math.log10(first.rate), Math.log10(last.rate)];
  const smoothed = points.map((point) => point.smoothed);
  const margin = 0.05 * (Math.max(...smoothed) - Math.min(...smoothed)) || 1;
  const [low, high] = [Math.min(...smoothed) - margin, Math.max(...smoothed) + margin];
  const x = (rate: number) => round(LEFT + ((Math.log10(rate) - from) / (to - from)) * (WIDTH - LEFT - RIGHT));
  const y = (loss: number) => round(TOP + ((high - loss) / (high - low)) * (HEIGHT - TOP - BOTTOM));
  const floor = HEIGHT - BOTTOM;

  const decades = Array.from({ length: Math.floor(to) - Math.ceil(from) + 1 }, (_, index) => Math.ceil(from) + index);
  const heights = Array.from({ length: 5 }, (_, index) => low + ((high - low) * index) / 4);
  const marks = suggestion
    ? [
        { rate: suggestion.steepest, name: 'steepest' },
        { rate: suggestion.minimumTenth, name: 'minimum / 10' },
      ].filter(({ rate }) => rate >= first.rate && rate <= last.rate)
    : [];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="white"/>`,
    ...decades.flatMap((power) => [
      `<line x1="${x(10 ** power)}" y1="${TOP}" x2="${x(10 ** power)}" y2="${floor}" stroke="#ddd"/>`,
      `<text x="${x(10 ** power)}" y="${floor + 16}" text-anchor="middle">1e${power}</text>`,
    ]),
    ...heights.flatMap((loss) => [
      `<line x1="${LEFT}" y1="${y(loss)}" x2="${WIDTH - RIGHT}" y2="${y(loss)}" stroke="#ddd"/>`,
      `<text x="${LEFT - 6}" y="${y(loss) + 4}" text-anchor="end">${loss.toPrecision(3)}</text>`,
    ]),
    // Single steps may lie far outside; the line decides what is shown.
    ...points
      .filter(({ loss }) => loss >= low && loss <= high)
      .map(({ rate, loss }) => `<circle cx="${x(rate)}" cy="${y(loss)}" r="1.5" fill="#aaa"/>`),
    `<polyline fill="none" stroke="#1f6fb4" stroke-width="2" points="${points.map(({ rate, smoothed }) => `${x(rate)},${y(smoothed)}`).join(' ')}"/>`,
    ...marks.flatMap(({ rate, name }, index) => [
      `<line x1="${x(rate)}" y1="${TOP}" x2="${x(rate)}" y2="${floor}" stroke="#d05020" stroke-dasharray="4 3"/>`,
      `<text x="${x(rate) + 4}" y="${TOP + 14 * (index + 1)}" fill="#d05020">${name}: ${rate.toExponential(1)}</text>`,
    ]),
    `<text x="${(LEFT + WIDTH - RIGHT) / 2}" y="${HEIGHT - 10}" text-anchor="middle">learning rate</text>`,
    `<text x="14" y="${(TOP + floor) / 2}" text-anchor="middle" transform="rotate(-90 14 ${(TOP + floor) / 2})">loss, smoothed</text>`,
    '</svg>',
    '',
  ].join('\n');
}

const round = (value: number) => Math.round(value * 100) / 100;
