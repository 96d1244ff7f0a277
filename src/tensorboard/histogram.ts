/** Parts of equal width, as TensorBoard has them: how many values are from an edge to the next. */
export interface Buckets {
  /** One more than counts. */
  readonly edges: readonly number[];
  readonly counts: readonly number[];
}

/** As many as TensorBoard's own histograms have. */
const BUCKETS = 30;

/** Values looked at without letting others go on. */
const AT_ONCE = 1 << 16;

/**
 * Counts values between their least and greatest; such as are not finite are left out. Many values are taken in pieces,
 * between which the event loop turns.
 *
 * @returns no buckets where there is nothing to count
 */
export async function bucketsOf(values: Float32Array): Promise<Buckets> {
  let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  await inPieces(values, (value) => {
    if (value < least) least = value;
    if (value > most) most = value;
  });
  if (least > most) return { edges: [], counts: [] };
  // Of values that are all the same a bucket around them.
  const [from, to] = least === most ? [least - 0.5, most + 0.5] : [least, most];
  const size = (to - from) / BUCKETS;
  const counts = new Array<number>(BUCKETS).fill(0);
  await inPieces(values, (value) => {
    const bucket = Math.min(BUCKETS - 1, Math.floor((value - from) / size));
    counts[bucket] = counts[bucket]! + 1;
  });
  const edges = Array.from({ length: BUCKETS }, (_, index) => from + index * size);
  return { edges: [...edges, to], counts };
}

async function inPieces(values: Float32Array, look: (value: number) => void): Promise<void> {
  for (let start = 0; start < values.length; start += AT_ONCE) {
    if (start > 0) await new Promise((resolve) => setImmediate(resolve));
    for (const value of values.subarray(start, start + AT_ONCE)) {
      if (Number.isFinite(value)) look(value);
    }
  }
}
