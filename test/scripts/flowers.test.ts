import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { drawFlower, drawFlowers, FLOWER_CLASSES } from '../../scripts/demo/flowers.ts';
import { readFolder } from '../../src/data/folder.ts';

describe('one flower', () => {
  test('depends on kind, seed and index alone', () => {
    const first = drawFlower('daisy', 7, 3, 64);
    drawFlower('poppy', 7, 3, 64);
    expect(drawFlower('daisy', 7, 3, 64)).toBe(first);
    expect(drawFlower('daisy', 8, 3, 64)).not.toBe(first);
    expect(drawFlower('daisy', 7, 4, 64)).not.toBe(first);
  });

  test('is the same drawing at every size', () => {
    const inside = (size: number) => drawFlower('iris', 1, 0, size).replace(/ width="\d+" height="\d+"/, '');
    expect(inside(96)).toBe(inside(32));
  });

  test.each(FLOWER_CLASSES)('%s: every name in it is given once, and every number is one', (name) => {
    for (let index = 0; index < 30; index++) {
      const svg = drawFlower(name, 0, index, 64);
      const given = [...svg.matchAll(/ id="([^"]+)"/g)].map((match) => match[1]);
      const used = new Set([...svg.matchAll(/url\(#([^)]+)\)/g)].map((match) => match[1]));
      expect(new Set(given).size).toBe(given.length);
      expect(new Set(given)).toEqual(used);
      expect(svg).not.toMatch(/NaN|undefined|Infinity|\de[-+]?\d/);
    }
  });

  test('names the kinds when asked for another', () => {
    expect(() => drawFlower('rose', 0, 0, 64)).toThrow(/bluebell, daisy, iris, poppy, sunflower, tulip.*"rose"/);
  });
});

describe('a set of flowers', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'flowers-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  test('is read as a data set of a folder per class, without a warning', async () => {
    const progress: number[] = [];
    const drawn = await drawFlowers(folder, {
      perClass: 3,
      size: 48,
      seed: 2,
      onProgress: (done, total) => progress.push(done / total),
    });
    expect(drawn).toEqual({ classes: FLOWER_CLASSES, count: 18 });
    expect(progress).toEqual(Array.from({ length: 18 }, (_, index) => (index + 1) / 18));
    const listing = await readFolder(folder);
    expect(listing.classes).toEqual(FLOWER_CLASSES);
    expect(listing.warnings).toEqual([]);
    expect(listing.entries.map(({ file }) => file)).toEqual(
      FLOWER_CLASSES.flatMap((name) => [1, 2, 3].map((number) => `${name}/${name}-00${number}.jpg`)),
    );
    expect(await readdir(join(folder, 'tulip'))).toHaveLength(3);
    for (const { file } of listing.entries) {
      expect(await sharp(join(folder, file)).metadata()).toMatchObject({ format: 'jpeg', width: 48, height: 48 });
    }
  });

  test('is the same from the same seed, and longer sets begin alike', async () => {
    const bytes = async (perClass: number, seed: number) => {
      await drawFlowers(folder, { perClass, size: 32, seed });
      return readFile(join(folder, 'poppy', 'poppy-002.jpg'));
    };
    const first = await bytes(2, 5);
    const other = await bytes(2, 6);
    expect(first.equals(other)).toBe(false);
    expect(first.equals(await bytes(3, 5))).toBe(true);
  });

  test('is not told apart by its mean colour', async () => {
    const perClass = 30;
    await drawFlowers(folder, { perClass, size: 48, seed: 1 });
    const { entries } = await readFolder(folder);
    const colours = await Promise.all(
      entries.map(async ({ file }) => (await sharp(join(folder, file)).stats()).channels.map(({ mean }) => mean)),
    );
    const distance = (a: number, b: number) =>
      Math.hypot(...colours[a]!.map((mean, channel) => mean - colours[b]![channel]!));
    const right = entries.filter(({ label }, place) => {
      const others = [...entries.keys()].filter((other) => other !== place);
      const nearest = others.reduce((a, b) => (distance(place, b) < distance(place, a) ? b : a));
      return entries[nearest]!.label === label;
    });
    // Chance is 1 in 6. Close to that, colour would be no help at all; near to 1, the network would need no shape.
    expect(right.length / entries.length).toBeGreaterThan(0.25);
    expect(right.length / entries.length).toBeLessThan(0.7);
  });

  test('says where it could not write, and why', async () => {
    await writeFile(join(folder, 'iris'), 'a file where a folder is needed');
    await expect(drawFlowers(folder, { perClass: 1, size: 32, seed: 0 })).rejects.toMatchObject({
      code: 'DEMO_WRITE',
      message: expect.stringMatching(/cannot be written to .*flowers-.*EEXIST/),
    });
  });
});
