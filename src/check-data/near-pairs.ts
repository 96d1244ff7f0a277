/**
 * All pairs of 64-bit hashes that differ in 7 bits or fewer, by multi-index hashing (Norouzi, Punjani and Fleet, "Fast
 * search in Hamming space with multi-index hashing", CVPR 2012): of the four quarters of two such hashes one differs in
 * one bit at most, so each hash is looked up by each quarter and its 16 neighbours.
 */

export const MOST_BITS = 7;
const QUARTERS = 4;
const KEYS = 1 << 16;
/** Longest that the event loop waits, in milliseconds. */
const SLICE = 10;

/**
 * @param hashes two words each, [count, 2]
 * @param visit gets the places of each pair once, the smaller first
 * @param options.onProgress hashes compared with those before them
 * @throws the signal's reason when it is aborted
 */
export async function forEachNearPair(
  hashes: Uint32Array,
  visit: (first: number, second: number, bits: number) => void,
  {
    onProgress,
    signal,
  }: { onProgress?: ((done: number, total: number) => void) | undefined; signal?: AbortSignal | undefined } = {},
): Promise<void> {
  const count = hashes.length / 2;
  const tables = Array.from({ length: QUARTERS }, (_, quarter) => new Table(hashes, quarter));
  signal?.throwIfAborted();
  let resumed = performance.now();
  for (let second = 0; second < count; second++) {
    if (performance.now() - resumed > SLICE) {
      onProgress?.(second, count);
      await new Promise(setImmediate);
      signal?.throwIfAborted();
      resumed = performance.now();
    }
    for (const [quarter, table] of tables.entries()) {
      const own = quarterOf(hashes, second, quarter);
      for (let flip = -1; flip < 16; flip++) {
        const key = flip < 0 ? own : own ^ (1 << flip);
        const end = table.starts[key + 1]!;
        for (let at = table.starts[key]!; at < end; at++) {
          const first = table.items[at]!;
          if (first >= second) break;
          const bits = distance(hashes, first, second);
          if (bits <= MOST_BITS && isFirstMeeting(hashes, first, second, quarter)) visit(first, second, bits);
        }
      }
    }
  }
  onProgress?.(count, count);
}

/** The places of the hashes by the value of one quarter, in ascending order for each value. */
class Table {
  readonly starts = new Uint32Array(KEYS + 1);
  readonly items: Uint32Array;

  constructor(hashes: Uint32Array, quarter: number) {
    const count = hashes.length / 2;
    for (let index = 0; index < count; index++) this.starts[quarterOf(hashes, index, quarter) + 1]!++;
    for (let key = 0; key < KEYS; key++) this.starts[key + 1]! += this.starts[key]!;
    const next = this.starts.slice();
    this.items = new Uint32Array(count);
    for (let index = 0; index < count; index++) this.items[next[quarterOf(hashes, index, quarter)]!++] = index;
  }
}

/** A pair meets by every quarter that is alike; it counts by the first of them. */
function isFirstMeeting(hashes: Uint32Array, first: number, second: number, quarter: number): boolean {
  for (let earlier = 0; earlier < quarter; earlier++) {
    if (ones(quarterOf(hashes, first, earlier) ^ quarterOf(hashes, second, earlier)) <= 1) return false;
  }
  return true;
}

function quarterOf(hashes: Uint32Array, index: number, quarter: number): number {
  const word = hashes[index * 2 + (quarter >> 1)]!;
  return quarter & 1 ? word >>> 16 : word & 0xffff;
}

function distance(hashes: Uint32Array, first: number, second: number): number {
  return ones(hashes[first * 2]! ^ hashes[second * 2]!) + ones(hashes[first * 2 + 1]! ^ hashes[second * 2 + 1]!);
}

/** Set bits of a 32-bit word, counted in parallel (Warren, "Hacker's Delight", figure 5-2). */
function ones(word: number): number {
  let value = word - ((word >>> 1) & 0x55555555);
  value = (value & 0x33333333) + ((value >>> 2) & 0x33333333);
  return Math.imul((value + (value >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
