/** Figures as the page writes them. The spaces before units do not break. */

const NONE = '–';

/** @param share from 0 to 1 */
export const percent = (share: number | null | undefined, digits = 1): string =>
  share === null || share === undefined ? NONE : `${(share * 100).toFixed(digits)}\u00a0%`;

export const fixed = (value: number | null | undefined, digits: number): string =>
  value === null || value === undefined ? NONE : value.toFixed(digits);

/** A learning rate, say: `0.001`, `2.5e-5`. */
export function short(value: number): string {
  if (value === 0) return '0';
  const size = Math.abs(value);
  return size < 1e-3 ? value.toExponential(1).replace('.0e', 'e') : String(Number(value.toPrecision(3)));
}

/** `1 picture`, `2 pictures`. */
export const count = (number: number, one: string, several = `${one}s`): string =>
  `${number}\u00a0${number === 1 ? one : several}`;

export function duration(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(seconds < 1 ? 2 : 1)}\u00a0s`;
  if (seconds < 100) return `${Math.round(seconds)}\u00a0s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 100) return `${minutes}\u00a0min`;
  return `${Math.floor(minutes / 60)}\u00a0h ${minutes % 60}\u00a0min`;
}

const MONTHS = 'January February March April May June July August September October November December'.split(' ');

/** @param text of ISO 8601; in Coordinated Universal Time, so that a report is the same wherever it is made */
export function date(text: string): string {
  const at = new Date(text);
  return `${at.getUTCDate()}\u00a0${MONTHS[at.getUTCMonth()]}\u00a0${at.getUTCFullYear()}`;
}

/**
 * Between what shares the true one lies, 19 times in 20: the score interval (Wilson, "Probable inference, the law of
 * succession, and statistical inference", JASA 1927).
 */
export function interval(share: number, pictures: number): readonly [low: number, high: number] {
  const z = 1.959964;
  const spread = z ** 2 / pictures;
  const centre = share + spread / 2;
  const half = z * Math.sqrt((share * (1 - share)) / pictures + spread / (4 * pictures));
  return [(centre - half) / (1 + spread), (centre + half) / (1 + spread)];
}
