/**
 * What two pictures are compared by: pHash (Zauner, "Implementation and benchmarking of perceptual image hash functions",
 * 2010), 64 bits of a picture's lowest frequencies, and a small picture of it that decides where hashes are alike.
 */

/** Side of the square that a picture is scaled to beforehand, whatever its shape. */
export const HASHED_SIDE = 32;
const LOW = 8;
const SMALL_SIDE = 16;
/** Grey levels; a picture with less contrast shows nothing, and its hash is noise. */
const LEAST_CONTRAST = 3;

/** Cosine basis of the discrete cosine transform (type II), [LOW, HASHED_SIDE]. */
const BASIS = Float64Array.from({ length: LOW * HASHED_SIDE }, (_, index) => {
  const frequency = Math.floor(index / HASHED_SIDE);
  const place = index % HASHED_SIDE;
  return Math.cos((Math.PI * frequency * (2 * place + 1)) / (2 * HASHED_SIDE));
});

export interface Look {
  /** 64 bits as two words; bit i of the first is the coefficient of row floor(i / 8), column i % 8. */
  readonly hash: readonly [number, number];
  /** RGB without its mean, the largest value scaled to 127. int8 [16, 16, 3] */
  readonly small: Int8Array;
}

/**
 * @param pixels RGB, [32, 32, 3]
 * @returns `undefined` for a picture of about one colour
 */
export function lookOf(pixels: Uint8Array): Look | undefined {
  const grey = new Float64Array(HASHED_SIDE * HASHED_SIDE);
  for (let at = 0; at < grey.length; at++) {
    // Luma of ITU-R BT.601.
    grey[at] = 0.299 * pixels[at * 3]! + 0.587 * pixels[at * 3 + 1]! + 0.114 * pixels[at * 3 + 2]!;
  }
  if (deviation(grey) < LEAST_CONTRAST) return undefined;
  return { hash: hashOf(grey), small: smallOf(pixels) };
}

function deviation(values: Float64Array): number {
  let sum = 0;
  let squares = 0;
  for (const value of values) {
    sum += value;
    squares += value * value;
  }
  const mean = sum / values.length;
  return Math.sqrt(Math.max(0, squares / values.length - mean * mean));
}

/** A bit for each of the 8 x 8 lowest coefficients: whether it lies above their median. */
function hashOf(grey: Float64Array): [number, number] {
  const rows = new Float64Array(HASHED_SIDE * LOW);
  for (let y = 0; y < HASHED_SIDE; y++) {
    for (let u = 0; u < LOW; u++) {
      let sum = 0;
      for (let x = 0; x < HASHED_SIDE; x++) sum += grey[y * HASHED_SIDE + x]! * BASIS[u * HASHED_SIDE + x]!;
      rows[y * LOW + u] = sum;
    }
  }
  const coefficients = new Float64Array(LOW * LOW);
  for (let v = 0; v < LOW; v++) {
    for (let u = 0; u < LOW; u++) {
      let sum = 0;
      for (let y = 0; y < HASHED_SIDE; y++) sum += rows[y * LOW + u]! * BASIS[v * HASHED_SIDE + y]!;
      coefficients[v * LOW + u] = sum;
    }
  }
  const sorted = coefficients.slice().sort();
  const median = (sorted[31]! + sorted[32]!) / 2;
  const words: [number, number] = [0, 0];
  for (const [bit, value] of coefficients.entries()) {
    if (value > median) words[bit >> 5]! |= 1 << (bit & 31);
  }
  return [words[0] >>> 0, words[1] >>> 0];
}

function smallOf(pixels: Uint8Array): Int8Array {
  const sums = new Float64Array(SMALL_SIDE * SMALL_SIDE * 3);
  const step = HASHED_SIDE / SMALL_SIDE;
  for (let y = 0; y < HASHED_SIDE; y++) {
    for (let x = 0; x < HASHED_SIDE; x++) {
      const to = (Math.floor(y / step) * SMALL_SIDE + Math.floor(x / step)) * 3;
      const from = (y * HASHED_SIDE + x) * 3;
      for (let channel = 0; channel < 3; channel++) sums[to + channel]! += pixels[from + channel]!;
    }
  }
  const mean = sums.reduce((sum, value) => sum + value, 0) / sums.length;
  const most = sums.reduce((most, value) => Math.max(most, Math.abs(value - mean)), 0);
  return Int8Array.from(sums, (value) => Math.round(((value - mean) / most) * 127));
}

/** How alike two pictures are, by their correlation, -1 to 1; at any brightness and contrast. */
export function correlation({ small: a }: Look, { small: b }: Look): number {
  let product = 0;
  let squaresA = 0;
  let squaresB = 0;
  for (let index = 0; index < a.length; index++) {
    product += a[index]! * b[index]!;
    squaresA += a[index]! * a[index]!;
    squaresB += b[index]! * b[index]!;
  }
  return product / Math.sqrt(squaresA * squaresB);
}
