/**
 * Curves and bars as SVG that takes any width: shapes in a box that stretches, text and dots placed by percent in the one
 * around it, so that neither is distorted. There is no style attribute, which the page's policy would not let pass.
 */
import { type Html, html, raw } from './html.ts';
import type { Point } from './thin.ts';

export interface Curve {
  /** What it is called at its end. */
  readonly label: string;
  readonly kind: 'test' | 'train' | 'steps';
  readonly points: readonly Point[];
}

export interface ChartOptions {
  readonly title: string;
  /** What it shows, in words, for those who do not see it. */
  readonly summary: string;
  readonly curves: readonly Curve[];
  /** Of less height than others. */
  readonly low: boolean;
  readonly x: readonly [from: number, to: number];
  readonly y: readonly [from: number, to: number];
  readonly formatY: (value: number) => string;
  /** What is said of places along the way when one points there. */
  readonly readings: readonly { readonly x: number; readonly text: string }[];
}

const SIZE = 1000;
/** Least distance of two labels, of the height. */
const APART = 0.1;

export function chart({ title, summary, curves, low, x, y, formatY, readings }: ChartOptions): Html {
  const acrossShare = (value: number) => (value - x[0]) / (x[1] - x[0] || 1);
  const downShare = (value: number) => 1 - (value - y[0]) / (y[1] - y[0] || 1);
  const place = ({ x, y }: Point) => `${units(acrossShare(x))} ${units(downShare(y))}`;
  const shown = curves.filter(({ points }) => points.length > 0);
  const named = shown.filter(({ label }) => label !== '');
  const whole = ticks(x[0], x[1], 4).filter(Number.isInteger);
  const ends = spread(named.map(({ points }) => downShare(points.at(-1)!.y)));
  return html`<figure class="chart${low && ' low'}" data-readings="${JSON.stringify(readings.map(({ x, text }) => [Number((acrossShare(x) * 100).toFixed(2)), text]))}">
<figcaption><h3>${title}</h3><output aria-live="polite"></output></figcaption>
<svg class="plot" role="img" aria-label="${summary}" tabindex="0">
${ticks(y[0], y[1], low ? 2 : 4).map(
  (value) =>
    html`<line class="grid" x2="100%" y1="${percent(downShare(value))}" y2="${percent(downShare(value))}"/><text class="tick" dx="-8" dy="4" text-anchor="end" y="${percent(downShare(value))}">${formatY(value)}</text>`,
)}
${whole.map(
  (value, index) =>
    html`<text class="tick" x="${percent(acrossShare(value))}" y="100%" dy="20" text-anchor="middle">${value}${index === whole.length - 1 && (value === 1 ? ' pass' : ' passes')}</text>`,
)}
<svg viewBox="0 0 ${SIZE} ${SIZE}" preserveAspectRatio="none" width="100%" height="100%">${shown.map(
    ({ kind, points }) => html`<path class="${kind}" d="M${raw(points.map(place).join('L'))}"/>`,
  )}</svg>
${named.map(
  ({ label, kind, points }, index) =>
    html`<circle class="${kind}" cx="${percent(acrossShare(points.at(-1)!.x))}" cy="${percent(downShare(points.at(-1)!.y))}" r="3.5"/><text class="end ${kind}" x="100%" dx="10" dy="4" y="${percent(ends[index]!)}">${label}</text>`,
)}
<line class="cursor" y2="100%" visibility="hidden"/>
</svg>
</figure>`;
}

export interface BarsOptions {
  readonly title: string;
  readonly summary: string;
  readonly bars: readonly { readonly value: number; readonly text: string }[];
  readonly most: number;
  readonly formatY: (value: number) => string;
}

/** A bar for each pass, from 0 to `most`. */
export function bars({ title, summary, bars: all, most, formatY }: BarsOptions): Html {
  const width = SIZE / all.length;
  const gap = all.length > 60 ? 0 : 0.2 * width;
  const height = (value: number) => (value / (most || 1)) * SIZE;
  const readings = all.map(({ text }, index) => [Number(((100 * (index + 0.5)) / all.length).toFixed(2)), text]);
  return html`<figure class="chart bars" data-readings="${JSON.stringify(readings)}">
<figcaption><h3>${title}</h3><output aria-live="polite"></output></figcaption>
<svg class="plot" role="img" aria-label="${summary}" tabindex="0">
${ticks(0, most, 2).map(
  (value) =>
    html`<line class="grid" x2="100%" y1="${percent(1 - value / (most || 1))}" y2="${percent(1 - value / (most || 1))}"/><text class="tick" dx="-8" dy="4" text-anchor="end" y="${percent(1 - value / (most || 1))}">${formatY(value)}</text>`,
)}
<svg viewBox="0 0 ${SIZE} ${SIZE}" preserveAspectRatio="none" width="100%" height="100%">${all.map(
    ({ value }, index) =>
      html`<rect x="${round(index * width + gap / 2)}" width="${round(width - gap)}" y="${round(SIZE - height(value))}" height="${round(height(value))}"/>`,
  )}</svg>
<text class="tick" y="100%" dy="20">pass 1</text>
${all.length > 1 && html`<text class="tick" x="100%" y="100%" dy="20" text-anchor="end">${all.length}</text>`}
<line class="cursor" y2="100%" visibility="hidden"/>
</svg>
</figure>`;
}

/** Round numbers from `from` to `to`, `about` so many. */
export function ticks(from: number, to: number, about: number): number[] {
  const rough = (to - from) / about;
  if (!(rough > 0)) return [from];
  const power = 10 ** Math.floor(Math.log10(rough));
  // Of the steps around it the nearer one.
  const step = [10, 5, 2, 1].map((factor) => factor * power).find((size) => size <= rough * 1.42) as number;
  const first = Math.ceil(from / step - 1e-9);
  const last = Math.floor(to / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, index) => Number(((first + index) * step).toPrecision(12)));
}

/** The least round number that is not below. */
export function roundUp(value: number): number {
  const step = ticks(0, value, 4)[1] ?? 1;
  return Number((Math.ceil(value / step - 1e-9) * step).toPrecision(12));
}

/** Moves labels apart, from the uppermost down, and back up where they would leave at the bottom. */
function spread(heights: readonly number[]): number[] {
  const order = heights.map((_, index) => index).sort((a, b) => heights[a]! - heights[b]!);
  const placed = [...heights];
  for (const [rank, index] of order.entries()) {
    if (rank > 0) placed[index] = Math.max(placed[index]!, placed[order[rank - 1]!]! + APART);
  }
  const below = Math.max(0, Math.max(0, ...placed) - 1);
  return placed.map((height) => height - below);
}

const round = (value: number) => Number(value.toFixed(1));
const units = (share: number) => round(share * SIZE);
const percent = (share: number) => `${Number((share * 100).toFixed(2))}%`;
