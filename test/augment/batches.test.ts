import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import { checkAugmentation, drawMix } from '../../src/augment/index.ts';
import { type BatchOptions, batches } from '../../src/data/batches.ts';
import { DecodedCache, type DecodedCacheOptions } from '../../src/data/decoded-cache.ts';
import type { Sample } from '../../src/data/sample.ts';
import { folderOf, painted } from '../data/fixtures.ts';

const augmentation = checkAugmentation({
  crop: {},
  colourJitter: { brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1 },
  policy: 'trivial',
  erasing: 0.5,
  mixup: 0.5,
  cutmix: 1,
});
const basis: BatchOptions = { batchSize: 4, imageSize: 28, seed: 1, pass: 1, augment: augmentation, shuffle: true };

async function pictures(count: number): Promise<Sample[]> {
  const files: Record<string, Uint8Array> = {};
  for (let index = 0; index < count; index++) {
    files[`${index}.jpg`] = await painted(60 + index, 50, (x, y) => [(x * 7 + index * 40) % 256, (y * 5) % 256, x + y])
      .jpeg()
      .toBuffer();
  }
  const root = await folderOf(files);
  return Object.keys(files).map((name, index) => ({ file: join(root, name), label: index % 3 }));
}

function cacheOf(options: DecodedCacheOptions): DecodedCache {
  const cache = new DecodedCache(options);
  onTestFinished(() => cache[Symbol.asyncDispose]());
  return cache;
}

async function pass(samples: readonly Sample[], options: Partial<BatchOptions> = {}): Promise<string> {
  const hash = createHash('sha256');
  for await (const { images, labels, indices, mix } of batches(samples, { ...basis, ...options })) {
    hash.update(images).update(labels).update(indices).update(JSON.stringify(mix));
  }
  return hash.digest('hex');
}

describe('a pass with everything on', () => {
  test('is the same from any cache, in any pass before it, and whatever is prepared ahead', async () => {
    const samples = await pictures(10);
    const first = await pass(samples);
    expect(await pass(samples, { prefetch: 0 })).toBe(first);
    const cache = cacheOf({ memoryBytes: 30_000, folder: await folderOf({}) });
    const other = await pass(samples, { cache, pass: 0 });
    expect(other).not.toBe(first);
    expect(await pass(samples, { cache })).toBe(first);
    expect(await pass(samples, { cache, prefetch: 5 })).toBe(first);
    expect(await pass(samples, { cache, pass: 0 })).toBe(other);
    expect(cache.use.decoded).toBe(10);
    expect(cache.use.memoryBytes).toBeGreaterThan(0);
    expect(cache.use.diskBytes).toBeGreaterThan(0);
    expect(await pass(samples, { cache, seed: 2 })).not.toBe(first);
  });

  test('is the same on one thread and on eight', async () => {
    const samples = await pictures(10);
    const script = `
      import { createHash } from 'node:crypto';
      import { batches } from './src/data/batches.ts';
      const { samples, basis } = JSON.parse(process.argv[1]);
      const hash = createHash('sha256');
      for await (const { images, labels, indices, mix } of batches(samples, basis)) {
        hash.update(images).update(labels).update(indices).update(JSON.stringify(mix));
      }
      process.stdout.write(hash.digest('hex'));`;
    const here = await pass(samples);
    for (const threads of ['1', '8']) {
      const { stdout } = await promisify(execFile)(
        process.execPath,
        ['--import', 'tsx', '--input-type=module', '-e', script, JSON.stringify({ samples, basis })],
        { env: { ...process.env, UV_THREADPOOL_SIZE: threads }, cwd: dirname(dirname(import.meta.dirname)) },
      );
      expect(stdout).toBe(here);
    }
  });
});

test('each batch has its own mixture, and rows that only fill it up stay out of it', async () => {
  const samples = await pictures(6);
  const augment = checkAugmentation({ mixup: 1 });
  const found = [];
  for await (const batch of batches(samples, { ...basis, augment, fillLabel: -1n })) found.push(batch);
  expect(found.map(({ mix }) => mix)).toEqual([0, 1].map((batch) => drawMix(augment, { seed: 1, pass: 1, batch }, 28)));
  const [, last] = found;
  expect([last!.size, [...last!.labels.subarray(2)]]).toEqual([2, [-1n, -1n]]);
  const stride = 28 * 28 * 3;
  expect(last!.images.subarray(2 * stride).every((value) => value === 0)).toBe(true);
  expect(last!.images.subarray(0, 2 * stride).some((value) => value > 0)).toBe(true);
  for await (const { mix } of batches(samples, { ...basis, augment: true })) expect(mix).toBeUndefined();
});
