import { createHash } from 'node:crypto';
import { appendFile, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, onTestFinished, test } from 'vitest';
import { checkAugmentation, readSquare, sourceScale } from '../../src/augment/index.ts';
import { DecodedCache, type DecodedCacheOptions, defaultCacheBytes } from '../../src/data/decoded-cache.ts';
import { decodeCentre, decodeCrop, imageTransform } from '../../src/data/image.ts';
import { Random } from '../../src/random.ts';
import { shared } from '../shared.ts';
import { folderOf, painted } from './fixtures.ts';

const scale = { shortSide: 32, enlarge: true };
/** Bytes of one of the pictures below at that scale. */
const BYTES = 48 * 32 * 3;

async function pictures(count: number): Promise<{ file: string; label: number }[]> {
  const files: Record<string, Uint8Array> = {};
  for (let index = 0; index < count; index++) {
    files[`${index}.png`] = await painted(48, 32, (x, y) => [x, y, index])
      .png()
      .toBuffer();
  }
  const root = await folderOf(files);
  return Object.keys(files).map((name) => ({ file: join(root, name), label: 0 }));
}

function cacheOf(options: DecodedCacheOptions): DecodedCache {
  const cache = new DecodedCache(options);
  onTestFinished(() => cache[Symbol.asyncDispose]());
  return cache;
}

/** Comparing arrays of pixels one by one takes long. */
const hash = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');

const blue = async (cache: DecodedCache, sample: { file: string }) => (await cache.get(sample, scale))!.data[2];

describe('keeping', () => {
  test('each picture is decoded once, also when it is asked for many times at once', async () => {
    const samples = await pictures(5);
    const cache = cacheOf({});
    for (let pass = 0; pass < 3; pass++) {
      const found = await Promise.all([...samples, ...samples].map((sample) => blue(cache, sample)));
      expect(found).toEqual([0, 1, 2, 3, 4, 0, 1, 2, 3, 4]);
    }
    expect(cache.use).toEqual({ decoded: 5, memoryBytes: 5 * BYTES, diskBytes: 0, diskError: undefined });
  });

  test('every scale for itself', async () => {
    const [sample] = await pictures(1);
    const cache = cacheOf({});
    const sizes = [];
    for (const shortSide of [16, 64]) {
      for (const enlarge of [true, false]) {
        const { width, height, data } = (await cache.get(sample!, { shortSide, enlarge }))!;
        expect(data).toHaveLength(width * height * 3);
        sizes.push([width, height]);
      }
    }
    expect(sizes).toEqual([
      [24, 16],
      [24, 16],
      [96, 64],
      [48, 32],
    ]);
    expect(cache.use.decoded).toBe(4);
  });

  test('beyond the memory limit they go to a file that no folder shows, and come back the same', async () => {
    const samples = await pictures(6);
    const folder = await folderOf({});
    const cache = cacheOf({ memoryBytes: 2 * BYTES, folder });
    const first = await Promise.all(samples.map((sample) => cache.get(sample, scale)));
    expect(cache.use).toEqual({ decoded: 6, memoryBytes: 2 * BYTES, diskBytes: 4 * BYTES, diskError: undefined });
    expect(await readdir(folder)).toEqual(process.platform === 'win32' ? [expect.any(String)] : []);
    const second = await Promise.all(samples.map((sample) => cache.get(sample, scale)));
    expect(second.map((picture) => hash(picture!.data))).toEqual(first.map((picture) => hash(picture!.data)));
    expect(cache.use.decoded).toBe(6);
    await cache[Symbol.asyncDispose]();
    expect(await readdir(folder)).toEqual([]);
  });

  test('nothing is written beside the pictures', async () => {
    const [sample] = await pictures(1);
    const folder = join(sample!.file, '..');
    const before = await readdir(folder);
    await blue(cacheOf({ memoryBytes: 0 }), sample!);
    expect(await readdir(folder)).toEqual(before);
  });

  test('without a folder, what memory has no room for is decoded anew', async () => {
    const [sample] = await pictures(1);
    const cache = cacheOf({ memoryBytes: BYTES - 1 });
    expect(await Promise.all([blue(cache, sample!), blue(cache, sample!)])).toEqual([0, 0]);
    expect(cache.use.decoded).toBe(1);
    await blue(cache, sample!);
    expect(cache.use).toMatchObject({ decoded: 2, memoryBytes: 0, diskBytes: 0 });
  });

  test('a disk that takes nothing does not stop the run', async () => {
    const samples = await pictures(2);
    const cache = cacheOf({ memoryBytes: BYTES, folder: samples[0]!.file });
    for (let pass = 0; pass < 2; pass++) {
      for (const [index, sample] of samples.entries()) expect(await blue(cache, sample)).toBe(index);
    }
    expect(cache.use).toMatchObject({ decoded: 3, memoryBytes: BYTES });
    expect(cache.use.diskError).toMatchObject({ code: 'ENOTDIR' });
  });

  test('the default limit is a quarter of the memory', () => {
    expect(defaultCacheBytes()).toBeGreaterThan(0);
    expect(defaultCacheBytes()).toBeLessThanOrEqual(totalmem() / 4);
  });
});

describe('pictures that do not stay as they were', () => {
  test.each([0, undefined])('one that vanishes is named (memory: %o)', async (memoryBytes) => {
    const [sample] = await pictures(1);
    const cache = cacheOf(memoryBytes === undefined ? {} : { memoryBytes });
    await blue(cache, sample!);
    await rm(sample!.file);
    await expect(cache.get(sample!, scale)).rejects.toMatchObject({
      code: 'IMAGE_UNREADABLE',
      message: `${sample!.file} cannot be decoded: the file cannot be read (ENOENT).`,
    });
  });

  test.each([0, undefined])('one that changes is named, at any scale (memory: %o)', async (memoryBytes) => {
    const [sample, other] = await pictures(2);
    const cache = cacheOf(memoryBytes === undefined ? {} : { memoryBytes });
    await blue(cache, sample!);
    await writeFile(sample!.file, await readFile(other!.file));
    await utimes(sample!.file, new Date(), new Date(Date.now() + 5000));
    for (const shortSide of [32, 16]) {
      await expect(cache.get(sample!, { shortSide, enlarge: true })).rejects.toMatchObject({
        code: 'IMAGE_CHANGED',
        message: expect.stringContaining(sample!.file),
      });
    }
  });

  test('one that was only touched is not decoded again', async () => {
    const [sample] = await pictures(1);
    const cache = cacheOf({});
    await blue(cache, sample!);
    await utimes(sample!.file, new Date(), new Date(Date.now() + 5000));
    expect(await blue(cache, sample!)).toBe(0);
    expect(cache.use.decoded).toBe(1);
  });

  test('an error is not kept', async () => {
    const [good] = await pictures(1);
    const file = join(await folderOf({ 'later.png': 'no picture yet' }), 'later.png');
    const cache = cacheOf({});
    await expect(cache.get({ file }, scale)).rejects.toMatchObject({ code: 'IMAGE_UNREADABLE' });
    await writeFile(file, '');
    await expect(cache.get({ file }, scale)).rejects.toMatchObject({ code: expect.stringMatching(/^IMAGE_/) });
    expect(await blue(cache, good!)).toBe(0);
  });

  test('a picture in an archive is read from its place', async () => {
    const [sample] = await pictures(1);
    const bytes = await readFile(sample!.file);
    const path = join(await folderOf({ pack: Buffer.concat([Buffer.alloc(100), bytes]) }), 'pack');
    const packed = { file: '/x.tgz/0.png', range: { path, offset: 100, length: bytes.length } };
    const cache = cacheOf({});
    expect(await cache.get(packed, scale)).toEqual(await cache.get(sample!, scale));
    await appendFile(path, 'more of it');
    expect(await cache.get(packed, scale)).toBeDefined();
    expect(cache.use.decoded).toBe(2);
  });
});

describe('the network square from the cache', () => {
  const plain = checkAugmentation();

  test.each([
    [200, 120],
    [31, 77],
    [64, 64],
    [1, 1],
    [3, 300],
  ])('plain crops of %i x %i are to the byte those decoded from the file', async (width, height) => {
    const noise = painted(width, height, (x, y) => [(x * 97 + y * 31) % 256, (x * y) % 256, (x * 7 + y * y) % 256]);
    const root = await folderOf({ 'a.png': await noise.png().toBuffer(), 'b.jpg': await noise.jpeg().toBuffer() });
    const cache = cacheOf({});
    for (const file of [join(root, 'a.png'), join(root, 'b.jpg')]) {
      for (const imageSize of [28, 96]) {
        const transform = imageTransform(imageSize);
        const centre = await readSquare({ file }, { cache, transform: imageTransform(imageSize) });
        expect(hash(centre)).toBe(hash(await decodeCentre(file, transform)));
        for (const index of [0, 1, 2]) {
          const random = new Random(1, 'augment', 0, index);
          const crop = { x: random.uniform(), y: random.uniform(), flip: random.uniform() < 0.5 };
          const training = { augmentation: plain, draw: { seed: 1, pass: 0, index } };
          const square = await readSquare({ file }, { cache, transform: imageTransform(imageSize), training });
          expect(hash(square)).toBe(hash(await decodeCrop(file, transform, crop)));
        }
      }
    }
    // What is too long to keep takes no memory.
    if (Math.max(width, height) > 16 * Math.min(width, height)) expect(cache.use.memoryBytes).toBe(0);
  });

  test('a resized crop may come from any size, and always has the size asked for', async () => {
    const augmentation = checkAugmentation({ crop: {}, policy: 'trivial', erasing: 1 });
    const cache = cacheOf({});
    for (const [width, height] of [
      [1, 10000],
      [10000, 1],
      [1, 1],
      [700, 500],
    ] as const) {
      const bytes = await sharp({ create: { width, height, channels: 3, background: 'teal' } })
        .png()
        .toBuffer();
      const file = join(await folderOf({ 'x.png': bytes }), 'x.png');
      for (const index of [0, 1, 2, 3]) {
        const training = { augmentation, draw: { seed: 1, pass: 0, index } };
        expect(await readSquare({ file }, { cache, transform: imageTransform(33), training })).toHaveLength(
          33 * 33 * 3,
        );
      }
    }
  });

  test('for resized crops pictures are kept so large that the smallest crop is not enlarged more than the file demands', () => {
    expect(sourceScale('resize-crop', imageTransform(128))).toEqual({ shortSide: 146, enlarge: true });
    expect(sourceScale({ scale: [0.25, 1], ratio: [1, 1] }, imageTransform(128))).toEqual({
      shortSide: 256,
      enlarge: false,
    });
    expect(sourceScale({ scale: [0.08, 1], ratio: [3 / 4, 4 / 3] }, imageTransform(128))).toEqual({
      shortSide: 453,
      enlarge: false,
    });
  });

  test.skipIf(!shared)(
    'photographs: from memory, from disk and decoded anew they are the same (ORTUNE_SHARED)',
    async () => {
      const folder = join(shared!, 'data/flowers102-short160/jpg');
      const files = (await readdir(folder)).slice(0, 12).map((name) => join(folder, name));
      const augmentation = checkAugmentation({
        crop: {},
        colourJitter: { brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1 },
        policy: 'rand',
        erasing: 0.5,
      });
      const pass = async (cache: DecodedCache, order: readonly number[]) => {
        const squares: string[] = [];
        for (const index of order) {
          const training = { augmentation, draw: { seed: 1, pass: 2, index } };
          squares[index] = hash(
            await readSquare({ file: files[index]! }, { cache, transform: imageTransform(128), training }),
          );
        }
        return squares;
      };
      const forwards = files.map((_, index) => index);
      const anew = await pass(cacheOf({ memoryBytes: 0 }), forwards);
      const mixed = cacheOf({ memoryBytes: 400_000, folder: await folderOf({}) });
      for (const order of [[...forwards].reverse(), forwards]) expect(await pass(mixed, order)).toEqual(anew);
      expect(mixed.use.diskBytes).toBeGreaterThan(0);
      expect(mixed.use.decoded).toBe(12);
    },
  );
});
