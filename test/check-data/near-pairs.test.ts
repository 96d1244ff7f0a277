import { describe, expect, test } from 'vitest';
import { forEachNearPair, MOST_BITS } from '../../src/check-data/near-pairs.ts';
import { Random } from '../../src/random.ts';

const bitsBetween = (a: bigint, b: bigint) => (a ^ b).toString(2).replaceAll('0', '').length;

async function pairs(hashes: readonly bigint[]): Promise<string[]> {
  const words = Uint32Array.from(hashes.flatMap((hash) => [Number(hash & 0xffffffffn), Number(hash >> 32n)]));
  const found: string[] = [];
  await forEachNearPair(words, (first, second, bits) => found.push(`${first} ${second} ${bits}`));
  return found.sort();
}

/** All pairs, each compared with each. */
function expected(hashes: readonly bigint[]): string[] {
  return hashes
    .flatMap((a, first) =>
      hashes.slice(first + 1).flatMap((b, rest) => {
        const bits = bitsBetween(a, b);
        return bits <= MOST_BITS ? [`${first} ${first + 1 + rest} ${bits}`] : [];
      }),
    )
    .sort();
}

describe('pairs of hashes that differ in up to 7 bits', () => {
  test('are found each once, as by comparing all with all', async () => {
    const random = new Random(1, 'hashes');
    const word = () => (BigInt(random.uint32()) << 32n) | BigInt(random.uint32());
    const hashes: bigint[] = [];
    for (let family = 0; family < 60; family++) {
      const parent = word();
      for (let member = 0; member < 12; member++) {
        let hash = parent;
        for (let flip = 0; flip < member; flip++) hash ^= 1n << BigInt(random.integer(64));
        hashes.push(hash);
      }
    }
    const found = await pairs(hashes);
    expect(found.length).toBeGreaterThan(1000);
    expect(found).toEqual(expected(hashes));
  });

  test('wherever the bits are', async () => {
    const spread = [0n, 0x0003_0003_0003_0001n, 0x0003_0003_0003_0003n, 0x7fn << 57n, 0xffn << 56n, 2n ** 64n - 1n];
    expect(await pairs(spread)).toEqual(['0 1 7', '0 3 7', '1 2 1', '3 4 1']);
    expect(await pairs([])).toEqual([]);
    expect(await pairs([5n, 5n, 5n])).toEqual(['0 1 0', '0 2 0', '1 2 0']);
  });

  test('stops at a signal', async () => {
    const visit = () => {};
    await expect(
      forEachNearPair(new Uint32Array(20), visit, { signal: AbortSignal.abort(new Error('enough')) }),
    ).rejects.toThrow('enough');
  });
});
