import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import sharp from 'sharp';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Batch, type BatchOptions, batchCount, batches, pictureCount } from '../../src/data/batches.ts';
import { openDataset, type Sample } from '../../src/data/dataset.ts';
import { decodeCentre, imageTransform } from '../../src/data/image.ts';
import { createLimiter } from '../../src/data/limiter.ts';
import { Random } from '../../src/random.ts';
import { shared } from '../shared.ts';
import { folderOf, painted } from './fixtures.ts';

const basis: BatchOptions = { batchSize: 4, imageSize: 28, seed: 1, pass: 0, augment: true, shuffle: true };

/** Pictures whose blue is their number; red and green tell the place. Scaled one to one at an image size of 28. */
async function pictures(count: number): Promise<Sample[]> {
  const files: Record<string, Uint8Array> = {};
  for (let index = 0; index < count; index++) {
    files[`${index}.png`] = await painted(48, 32, (x, y) => [x, y, index])
      .png()
      .toBuffer();
  }
  const root = await folderOf(files);
  return Object.keys(files).map((name, index) => ({ file: join(root, name), label: index % 3 }));
}

async function all(samples: readonly Sample[], options: Partial<BatchOptions> = {}): Promise<Batch[]> {
  const found: Batch[] = [];
  for await (const batch of batches(samples, { ...basis, ...options })) found.push(batch);
  return found;
}

/** All that a pass delivers, less the time it took. */
const content = (found: readonly Batch[]) => {
  const hash = createHash('sha256');
  for (const { images, labels, indices } of found) hash.update(images).update(labels).update(indices);
  return hash.digest('hex');
};

const unhandled: unknown[] = [];
const listen = (reason: unknown) => unhandled.push(reason);
beforeEach(() => {
  process.on('unhandledRejection', listen);
});
afterEach(async () => {
  await sleep(20);
  process.off('unhandledRejection', listen);
  expect(unhandled.splice(0)).toEqual([]);
});

describe('batchCount', () => {
  test.each([
    [10, { batchSize: 4 }, 3],
    [8, { batchSize: 4 }, 2],
    [10, { batchSize: 4, minimumBatch: 3 }, 2],
    [11, { batchSize: 4, minimumBatch: 3 }, 3],
    [8, { batchSize: 4, minimumBatch: 2 }, 2],
    [3, { batchSize: 4, minimumBatch: 4 }, 0],
    [0, { batchSize: 4 }, 0],
  ])('%i samples, %o: %i', (length, options, expected) => {
    expect(batchCount(length, options)).toBe(expected);
  });
});

describe('pictureCount', () => {
  test.each([
    [10, { batchSize: 4 }, 10],
    [10, { batchSize: 4, minimumBatch: 4 }, 8],
    [11, { batchSize: 4, minimumBatch: 3 }, 11],
    [3, { batchSize: 4, minimumBatch: 4 }, 0],
    [3, { batchSize: 4 }, 3],
  ])('%i samples, %o: %i', (length, options, expected) => {
    expect(pictureCount(length, options)).toBe(expected);
  });
});

describe('batches', () => {
  test('every picture once, with its label and pixels in its place', async () => {
    const samples = await pictures(10);
    const found = await all(samples);
    expect(found.map(({ size }) => size)).toEqual([4, 4, 2]);
    expect(found.flatMap(({ indices }) => [...indices]).sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    for (const { images, labels, indices, size, waitMs } of found) {
      expect([images.length, labels.length, indices.length]).toEqual([size * 28 * 28 * 3, size, size]);
      expect(waitMs).toBeGreaterThanOrEqual(0);
      for (const [place, index] of indices.entries()) {
        expect(labels[place]).toBe(BigInt(index % 3));
        expect(images[place * 28 * 28 * 3 + 2]).toBe(index);
      }
    }
  });

  test('the order is that of the permutation of seed and pass; without shuffling that of the samples', async () => {
    const samples = await pictures(10);
    const order = (found: Batch[]) => found.flatMap(({ indices }) => [...indices]);
    expect(order(await all(samples, { pass: 2 }))).toEqual([...new Random(1, 'shuffle', 2).permutation(10)]);
    expect(order(await all(samples, { pass: 3 }))).toEqual([...new Random(1, 'shuffle', 3).permutation(10)]);
    expect(order(await all(samples, { shuffle: false }))).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  test('crop and flip come from seed, pass and picture', async () => {
    const samples = await pictures(8);
    let flips = 0;
    for (const { images, indices } of await all(samples, { pass: 5 })) {
      for (const [place, index] of indices.entries()) {
        const random = new Random(1, 'augment', 5, index);
        // 48 x 32 with a square of 28: 21 places across, 5 down.
        const left = Math.floor(random.uniform() * 21);
        const top = Math.floor(random.uniform() * 5);
        const flip = random.uniform() < 0.5;
        if (flip) flips++;
        expect([...images.subarray(place * 2352, place * 2352 + 3)]).toEqual([flip ? left + 27 : left, top, index]);
      }
    }
    expect(flips).toBeGreaterThan(0);
    expect(flips).toBeLessThan(8);
  });

  test('without augmentation it is the centre, as for prediction', async () => {
    const samples = await pictures(3);
    const [batch] = await all(samples, { augment: false, shuffle: false });
    for (const [index, { file }] of samples.entries()) {
      expect(batch!.images.subarray(index * 2352, (index + 1) * 2352)).toEqual(
        Uint8Array.from(await decodeCentre(file, imageTransform(28))),
      );
    }
  });

  test('a small rest is left out below the minimum', async () => {
    const samples = await pictures(9);
    expect((await all(samples, { minimumBatch: 2 })).map(({ size }) => size)).toEqual([4, 4]);
    expect((await all(samples, { minimumBatch: 1 })).map(({ size }) => size)).toEqual([4, 4, 1]);
    expect(await all(samples.slice(0, 1), { minimumBatch: 2 })).toEqual([]);
    expect(await all([])).toEqual([]);
  });

  test('a small rest is filled up with black rows of a label', async () => {
    const samples = await pictures(6);
    const [plain, filled] = [await all(samples, { pass: 7 }), await all(samples, { pass: 7, fillLabel: -1n })];
    expect(filled.map(({ size, labels }) => [size, labels.length])).toEqual([
      [4, 4],
      [2, 4],
    ]);
    const [rest, last] = [plain[1]!, filled[1]!];
    expect(content(filled.slice(0, 1))).toBe(content(plain.slice(0, 1)));
    expect(last.images.subarray(0, rest.images.length)).toEqual(rest.images);
    expect(last.images.subarray(rest.images.length)).toEqual(new Uint8Array(2 * 28 * 28 * 3));
    expect(last.labels).toEqual(BigInt64Array.of(...rest.labels, -1n, -1n));
    expect(last.indices).toEqual(rest.indices);
  });

  test('no more is prepared than asked for', async () => {
    const samples = await pictures(24);
    let reads = 0;
    const watched = samples.map(({ file, label }) => ({
      label,
      get file() {
        reads++;
        return file;
      },
    }));
    const iterator = batches(watched, { ...basis, prefetch: 2 });
    await sleep(20);
    expect(reads).toBe(0);
    await iterator.next();
    await sleep(200);
    expect(reads).toBe(12);
    await iterator.next();
    await sleep(200);
    expect(reads).toBe(16);
    await iterator.return();
  });

  test('leaving the loop stops the work', async () => {
    const samples = await pictures(6);
    const many = Array.from({ length: 600 }, (_, index) => samples[index % 6]!);
    let reads = 0;
    const watched = many.map(({ file, label }) => ({
      label,
      get file() {
        reads++;
        return file;
      },
    }));
    for await (const _ of batches(watched, { ...basis, prefetch: 100 })) break;
    const after = reads;
    expect(after).toBeLessThan(300);
    await sleep(100);
    expect(reads).toBe(after);
  });

  test('aborting it throws the reason', async () => {
    const samples = await pictures(20);
    const stop = new AbortController();
    const run = async () => {
      for await (const _ of batches(samples, { ...basis, signal: stop.signal })) stop.abort(new Error('enough'));
    };
    await expect(run()).rejects.toThrow('enough');
    await expect(all(samples, { signal: AbortSignal.abort(new Error('before')) })).rejects.toThrow('before');
  });

  test('a picture that breaks meanwhile is named when its batch comes', async () => {
    const samples = await pictures(12);
    const file = join(await folderOf({ 'bad.jpg': 'x' }), 'bad.jpg');
    const broken = samples.map((sample, index) => (index === 9 ? { file, label: 0 } : sample));
    const sizes: number[] = [];
    const run = async () => {
      for await (const { size } of batches(broken, { ...basis, shuffle: false })) {
        sizes.push(size);
        await sleep(50);
      }
    };
    await expect(run()).rejects.toMatchObject({ code: 'IMAGE_UNREADABLE', message: expect.stringContaining(file) });
    expect(sizes).toEqual([4, 4]);
  });
});

describe('limiter', () => {
  test('keeps the order of starting and never exceeds its limit, errors or not', async () => {
    const limit = createLimiter(3);
    const started: number[] = [];
    let running = 0;
    let most = 0;
    const tasks = Array.from({ length: 30 }, (_, index) =>
      limit(async () => {
        started.push(index);
        most = Math.max(most, ++running);
        await sleep(index % 4);
        running--;
        if (index % 5 === 0) throw new Error('no');
        return index;
      }),
    );
    const results = await Promise.allSettled(tasks);
    expect(started).toEqual(Array.from({ length: 30 }, (_, index) => index));
    expect(most).toBe(3);
    expect(results.filter(({ status }) => status === 'rejected')).toHaveLength(6);
  });
});

describe.skipIf(!shared)('real photographs (ORTUNE_SHARED)', () => {
  test('a pass is the same whatever is prepared ahead and however many threads decode', async () => {
    const { train } = await openDataset(join(shared!, 'data/flowers10'));
    const samples = train.slice(0, 60);
    const options = { batchSize: 16, imageSize: 96, seed: 3 };
    const first = content(await all(samples, options));
    for (const prefetch of [0, 1, 7]) expect(content(await all(samples, { ...options, prefetch }))).toBe(first);
    sharp.concurrency(4);
    expect(content(await all(samples, options))).toBe(first);
    sharp.concurrency(1);
    const slow: Batch[] = [];
    for await (const batch of batches(samples, { ...basis, ...options })) {
      slow.push(batch);
      await sleep(30);
    }
    expect(content(slow)).toBe(first);
    expect(content(await all(samples, { ...options, seed: 4 }))).not.toBe(first);
    expect(content(await all(samples, { ...options, pass: 1 }))).not.toBe(first);
  });

  test('one thread or eight in the pool make no difference', async () => {
    const script = `
      import { createHash } from 'node:crypto';
      import { batches } from './src/data/batches.ts';
      import { openDataset } from './src/data/dataset.ts';
      const { train } = await openDataset(process.argv[1]);
      const hash = createHash('sha256');
      const options = { batchSize: 16, imageSize: 96, seed: 3, pass: 0, augment: true, shuffle: true };
      for await (const { images, labels, indices } of batches(train.slice(0, 60), options)) {
        hash.update(images).update(labels).update(indices);
      }
      process.stdout.write(hash.digest('hex'));`;
    const { train } = await openDataset(join(shared!, 'data/flowers10'));
    const here = content(await all(train.slice(0, 60), { batchSize: 16, imageSize: 96, seed: 3 }));
    for (const threads of ['1', '8']) {
      const { stdout } = await promisify(execFile)(
        process.execPath,
        ['--import', 'tsx', '--input-type=module', '-e', script, join(shared!, 'data/flowers10')],
        { env: { ...process.env, UV_THREADPOOL_SIZE: threads } },
      );
      expect(stdout).toBe(here);
    }
  });
});
