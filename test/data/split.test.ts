import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openDataset } from '../../src/data/dataset.ts';
import type { Entry, Listing, Partition } from '../../src/data/listing.ts';
import { chooseSplit } from '../../src/data/split.ts';
import { shared } from '../shared.ts';
import { flowers, folderOf, named } from './fixtures.ts';

/** A listing of so many pictures for each class, without splits of its own. */
function listing(...counts: number[]): Listing {
  const entries = counts.flatMap((count, label) =>
    Array.from({ length: count }, (_, index): Entry => ({ file: `${label}/${index}.jpg`, label })),
  );
  return { classes: counts.map((_, label) => `c${label}`), entries, splits: new Map(), warnings: [] };
}

const choose = (from: Listing, split: string, seed = 0) => chooseSplit(from, { split, seed, where: 'data' });
const files = (entries: readonly Entry[]) => entries.map(({ file }) => file);
const parts = ({ train, valid, test }: Partition) => [train, valid, test];
/** Pictures of each class in each part. */
const table = (from: Listing, partition: Partition) =>
  from.classes.map((_, label) => parts(partition).map((part) => part.filter((entry) => entry.label === label).length));

/** Every picture is in one part, and nothing else is in any. */
function expectPartition(from: Listing, partition: Partition) {
  expect(parts(partition).flatMap(files).sort()).toEqual(files(from.entries).sort());
}

const MIXED = listing(50, 2, 1, 3, 7, 20, 101);

describe('ratio', () => {
  test.each(['ratio:0.8', 'ratio:0.5', 'ratio:.01', 'ratio:0.99'])(
    '%s partitions the pictures class by class',
    (split) => {
      const share = Number(split.slice(6));
      const { partition } = choose(MIXED, split);
      expectPartition(MIXED, partition);
      for (const [train, valid, tested] of table(MIXED, partition) as [number, number, number][]) {
        const count = train + tested;
        expect(valid).toBe(0);
        if (count === 1) expect(train).toBe(1);
        else expect(train).toBe(Math.min(Math.max(Math.round(count * share), 1), count - 1));
      }
    },
  );

  test.each(['ratio:0.7/0.15/0.15', 'ratio:0.1/0.1/0.8', 'ratio:0.98/0.01/0.01'])(
    '%s has a validation part too',
    (split) => {
      const shares = split.slice(6).split('/').map(Number);
      const { name, partition } = choose(MIXED, split);
      expect(name).toBe(split);
      expectPartition(MIXED, partition);
      for (const row of table(MIXED, partition)) {
        const count = row.reduce((sum, part) => sum + part, 0);
        if (count < 3) continue;
        expect(Math.min(...row)).toBeGreaterThanOrEqual(1);
        for (const [part, size] of row.entries()) expect(Math.abs(size - count * shares[part]!)).toBeLessThan(2);
      }
      expect(table(MIXED, partition)[1]).toEqual([1, 0, 1]);
    },
  );

  test('of 100 the shares are exact', () => {
    const hundred = listing(100, 100);
    expect(table(hundred, choose(hundred, 'ratio:0.7/0.1/0.2').partition)).toEqual([
      [70, 10, 20],
      [70, 10, 20],
    ]);
  });

  test('a class alone does not move the others', () => {
    const [small, large] = [listing(10, 10), listing(10, 30)];
    const ofFirst = (from: Listing) =>
      files(choose(from, 'ratio:0.8', 3).partition.test).filter((file) => file.startsWith('0/'));
    expect(ofFirst(small)).toEqual(ofFirst(large));
  });

  test.each([
    'ratio:0.5/0.5',
    'ratio:0.5/0.2/0.2',
    'ratio:0.5/0.6/-0.1',
    'ratio:0.5//0.5',
    'ratio:0.5/0.5/0',
    'ratio:1e-1',
    'ratio:0.8 ',
  ])('refuses %s', (split) => {
    expect(() => choose(MIXED, split)).toThrow(expect.objectContaining({ code: 'DATASET_SPLIT' }));
  });
});

describe('fold', () => {
  const WHOLE = listing(50, 2, 3, 7, 20, 101);

  test.each([2, 3, 5, 10, 183])('%i folds partition the pictures and each class', (folds) => {
    const all = Array.from({ length: folds }, (_, index) => choose(WHOLE, `fold:${index + 1}/${folds}`).partition);
    for (const partition of all) {
      expectPartition(WHOLE, partition);
      expect(partition.valid).toEqual([]);
    }
    expect(all.flatMap(({ test }) => files(test)).sort()).toEqual(files(WHOLE.entries).sort());
    const even = (counts: number[]) => expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
    even(all.map(({ test }) => test.length));
    for (const label of WHOLE.classes.keys())
      even(all.map(({ test }) => test.filter((entry) => entry.label === label).length));
    // Never is a class without a picture to train on.
    for (const partition of all)
      expect(Math.min(...table(WHOLE, partition).map(([train]) => train!))).toBeGreaterThan(0);
  });

  test('classes of fewer pictures than folds are named', () => {
    expect(choose(WHOLE, 'fold:1/5').warnings).toEqual([
      '2 classes have fewer than 5 pictures and do not test in every fold: "c1", "c2".',
    ]);
    expect(choose(listing(5, 6), 'fold:1/5').warnings).toEqual([]);
  });

  test('of each class two pictures are needed, in whichever fold', () => {
    for (const split of ['fold:1/5', 'fold:4/5']) {
      expect(() => choose(MIXED, split)).toThrow(
        expect.objectContaining({
          code: 'DATASET_SPLIT',
          message: expect.stringMatching(/two of each class, but "c2" has one/),
        }),
      );
    }
    expect(() => choose(listing(2, 2), 'fold:1/5')).toThrow(/5 folds need 5 pictures.*found 4/);
  });

  test.each(['fold:0/5', 'fold:6/5', 'fold:1/1', 'fold:1', 'fold:a/5', 'fold:1/5/2', 'fold'])('refuses %s', (split) => {
    expect(() => choose(WHOLE, split)).toThrow(
      expect.objectContaining({ code: 'DATASET_SPLIT', message: expect.stringContaining('e.g. fold:1/5') }),
    );
  });
});

describe('what is drawn', () => {
  const splits = ['ratio:0.8', 'ratio:0.6/0.2/0.2', 'fold:2/5'];

  test.each(splits)('%s depends on the seed alone, not on the order of the list', (split) => {
    const from = listing(30, 12, 9);
    const reversed = { ...from, entries: [...from.entries].reverse() };
    const drawn = choose(from, split, 7).partition;
    expect(choose(from, split, 7).partition).toEqual(drawn);
    expect(choose(reversed, split, 7).partition).toEqual(drawn);
    expect(choose(from, split, 8).partition.test).not.toEqual(drawn.test);
  });

  test('stays what it is from version to version', () => {
    const from = listing(6, 5);
    expect(splits.map((split) => files(choose(from, split).partition.test))).toEqual([
      ['0/5.jpg', '1/4.jpg'],
      ['0/5.jpg', '1/4.jpg'],
      ['0/1.jpg', '1/3.jpg'],
    ]);
  });

  test('over many seeds every picture tests about equally often', () => {
    const from = listing(10, 10);
    const times = new Map(files(from.entries).map((file) => [file, 0]));
    for (let seed = 0; seed < 500; seed++) {
      for (const file of files(choose(from, 'fold:1/5', seed).partition.test)) times.set(file, times.get(file)! + 1);
    }
    // 500 draws of probability 1/5: standard deviation 9.
    for (const count of times.values()) expect(Math.abs(count - 100)).toBeLessThan(45);
  });
});

describe('splits that come with the data', () => {
  const names = ({ root, train, valid, test }: Awaited<ReturnType<typeof openDataset>>) =>
    [train, valid, test].map((part) => part.map(({ file }) => file.slice(root.length + 1)));

  test('train+valid of a CSV, of folders and of Flowers-102 tests on the test part', async () => {
    const csv = await folderOf({
      ...named('1.jpg', '2.jpg', '3.jpg', '4.jpg'),
      'labels.csv': 'file,label,split\n1.jpg,a,train\n2.jpg,b,train\n3.jpg,a,valid\n4.jpg,b,test\n',
    });
    expect(names(await openDataset(csv))).toEqual([['1.jpg', '2.jpg'], ['3.jpg'], ['4.jpg']]);
    const both = await openDataset(csv, { split: 'train+valid' });
    expect(both.split).toBe('train+valid');
    expect(names(both)).toEqual([['1.jpg', '2.jpg', '3.jpg'], [], ['4.jpg']]);

    const folders = await folderOf(named('train/a/1.jpg', 'train/b/2.jpg', 'validation/a/3.jpg', 'test/b/4.jpg'));
    expect(names(await openDataset(folders, { split: 'train+valid' }))).toEqual([
      ['train/a/1.jpg', 'train/b/2.jpg', 'validation/a/3.jpg'],
      [],
      ['test/b/4.jpg'],
    ]);

    const published = await folderOf(flowers([1, 2, 1, 2, 1, 2], { trnid: [1, 2], valid: [3, 4], tstid: [5, 6] }));
    const numbers = (...all: number[]) => all.map((number) => `jpg/image_0000${number}.jpg`);
    const split = async (split: string) => names(await openDataset(published, { split }));
    expect(await split('tutorial')).toEqual([numbers(5, 6), numbers(3, 4), numbers(1, 2)]);
    expect(await split('official')).toEqual([numbers(1, 2), numbers(3, 4), numbers(5, 6)]);
    expect(await split('train+valid')).toEqual([numbers(1, 2, 3, 4), [], numbers(5, 6)]);
  });

  test('train+valid needs all three parts', async () => {
    const without = async (csv: string) =>
      openDataset(await folderOf({ ...named('1.jpg', '2.jpg', '3.jpg'), 'labels.csv': csv }), { split: 'train+valid' });
    for (const part of ['valid', 'test']) {
      await expect(without(`file,label,split\n1.jpg,a,train\n2.jpg,b,train\n3.jpg,a,${part}\n`)).rejects.toMatchObject({
        code: 'DATASET_SPLIT',
        message: expect.stringContaining('"train+valid" for'),
      });
    }
  });

  test.skipIf(!shared)(
    'of the real Flowers-102 (ORTUNE_SHARED): sizes as published, each class as often as it should be',
    async () => {
      const root = join(shared!, 'data/flowers102-short160');
      const open = async (split: string) => openDataset(root, { split });
      const sizes = async (split: string) => {
        const { train, valid, test } = await open(split);
        expect(new Set([...train, ...valid, ...test].map(({ file }) => file)).size).toBe(8189);
        return [train.length, valid.length, test.length];
      };
      expect(await sizes('tutorial')).toEqual([6149, 1020, 1020]);
      expect(await sizes('official')).toEqual([1020, 1020, 6149]);
      expect(await sizes('train+valid')).toEqual([2040, 0, 6149]);
      expect(await sizes('fold:1/5')).toEqual([6551, 0, 1638]);
      const ofClass = Array(102).fill(0);
      for (const { label } of (await open('train+valid')).train) ofClass[label]++;
      expect(ofClass).toEqual(Array(102).fill(20));
    },
  );
});
