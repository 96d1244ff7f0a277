import { randomBytes } from 'node:crypto';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { readdir, readFile, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, test, vi } from 'vitest';
import { checkImages } from '../../src/data/check.ts';
import { type Dataset, openDataset } from '../../src/data/dataset.ts';
import { readSample } from '../../src/data/sample.ts';
import { shared } from '../shared.ts';
import { flowers, folderOf } from './fixtures.ts';
import { type TarEntry, tar, tgz } from './tgz.ts';

const LABELS = [3, 3, 1, 1, 2, 2];
const { 'imagelabels.mat': labels, 'setid.mat': sets } = flowers(LABELS, {
  trnid: [5, 3, 1],
  valid: [],
  tstid: [6, 2, 4],
}) as Record<string, Uint8Array>;
const matFiles = { 'imagelabels.mat': labels!, 'setid.mat': sets! };
const nameOf = (number: number) => `jpg/image_0000${number}.jpg`;
const pictures: TarEntry[] = [
  { name: 'jpg/', type: '5' },
  ...LABELS.map((_, index) => ({ name: nameOf(index + 1), content: `picture ${index + 1} `.repeat(100 * index) })),
];

/** A folder with the archive and the label files, and a cache folder beside it. */
async function place(archive: Uint8Array, name = '102flowers.tgz') {
  const parent = await folderOf(
    Object.fromEntries(
      Object.entries({ ...matFiles, [name]: archive }).map(([file, bytes]) => [`data/${file}`, bytes]),
    ),
  );
  const root = join(parent, 'data');
  const cacheFolder = join(parent, 'cache');
  return { parent, root, archive: join(root, name), cacheFolder, open: () => openDataset(root, { cacheFolder }) };
}

const all = ({ train, valid, test }: Dataset) => [...train, ...valid, ...test];
const refusal = (...words: string[]) => ({
  name: 'OrtuneError',
  code: 'ARCHIVE_INVALID',
  message: expect.stringMatching(words.map((word) => `(?=[^]*${word})`).join('')),
});

describe('a data set in its archive', () => {
  test('is the one that would be unpacked from it', async () => {
    const { root, archive, open } = await place(tgz(pictures));
    const unpacked = await folderOf({
      ...matFiles,
      ...Object.fromEntries(pictures.slice(1).map(({ name, content }) => [name, content!])),
    });
    const [packed, plain] = [await open(), await openDataset(unpacked)];
    expect(packed).toMatchObject({ root: archive, kind: 'flowers102', split: 'tutorial', warnings: [] });
    expect(packed.classes).toEqual(plain.classes);
    const named = (dataset: Dataset) =>
      (['train', 'valid', 'test'] as const).map((part) =>
        dataset[part].map(({ file, label }) => [file.slice(dataset.root.length), label]),
      );
    expect(named(packed)).toEqual(named(plain));
    for (const [index, sample] of all(packed).entries()) {
      expect(Buffer.from(await readSample(sample))).toEqual(await readFile(all(plain)[index]!.file));
    }
    expect((await readdir(root)).sort()).toEqual(['102flowers.tgz', 'imagelabels.mat', 'setid.mat']);
  });

  test('may be given itself, under any name; `jpg/` goes before it', async () => {
    const { root, archive, cacheFolder } = await place(tgz(pictures), 'mine.tar.gz');
    expect(await openDataset(archive, { cacheFolder })).toMatchObject({ root: archive, split: 'tutorial' });
    await expect(openDataset(root, { cacheFolder })).rejects.toMatchObject({
      code: 'DATASET_LAYOUT',
      message: expect.stringContaining('no jpg or 102flowers.tgz'),
    });
    const both = await folderOf({
      ...flowers(LABELS, { trnid: [5, 3, 1], valid: [], tstid: [6, 2, 4] }),
      '102flowers.tgz': 'x',
    });
    expect((await openDataset(both)).root).toBe(both);
  });

  test('is read for its pictures once; again when it has changed or they were damaged', async () => {
    const { archive, cacheFolder, open } = await place(tgz(pictures));
    const pack = all(await open())[0]!.range!.path;
    expect(await readdir(cacheFolder)).toEqual([pack.slice(cacheFolder.length + 1)]);
    const { ino, size } = await stat(pack);
    // Neither its time nor its place counts, but what is in it.
    await utimes(archive, 0, 0);
    expect(all(await open())[0]!.range!.path).toBe(pack);
    expect((await stat(pack)).ino).toBe(ino);

    await truncate(pack, size - 1);
    const [first] = all(await open());
    expect((await stat(pack)).size).toBe(size);
    await truncate(pack, 10);
    await expect(readSample(first!)).rejects.toMatchObject({ code: 'DATASET_CACHE' });

    await writeFile(archive, tgz(pictures.map((entry) => (entry.content ? { ...entry, content: 'new' } : entry))));
    const changed = all(await open())[0]!;
    expect(changed.range!.path).not.toBe(pack);
    expect(Buffer.from(await readSample(changed)).toString()).toBe('new');
  });

  test('tells how far it is, and stops without a trace', async () => {
    const { root, archive, cacheFolder } = await place(tgz([...pictures, { name: 'rest', content: randomBytes(4e6) }]));
    const onProgress = vi.fn();
    const { size } = await stat(archive);
    const stop = new AbortController();
    onProgress.mockImplementation((done) => done > size && stop.abort(new Error('enough')));
    await expect(openDataset(root, { cacheFolder, onProgress, signal: stop.signal })).rejects.toThrow('enough');
    expect(await readdir(cacheFolder)).toEqual([]);
    expect(onProgress.mock.calls.length).toBeGreaterThan(4);
    onProgress.mockReset();
    await openDataset(root, { cacheFolder, onProgress });
    expect(onProgress).toHaveBeenLastCalledWith(size * 2, size * 2);
  });

  test('pictures that are missing are named; broken ones are found by the check', async () => {
    const { archive, open } = await place(tgz(pictures.slice(0, -1)));
    await expect(open()).rejects.toMatchObject({
      code: 'DATASET_FILES_MISSING',
      message: expect.stringMatching(/1 of 6 .*setid\.mat.*102flowers\.tgz: jpg\/image_00006\.jpg/),
    });
    await writeFile(archive, tgz(pictures));
    const bad = await checkImages(all(await open()));
    expect(bad).toHaveLength(6);
    expect(bad.find(({ file }) => file.endsWith('00001.jpg'))).toEqual({
      file: `${archive}/jpg/image_00001.jpg`,
      reason: 'the file is empty',
    });
  });

  test('a cache folder that cannot be is named', async () => {
    const { root, parent } = await place(tgz(pictures));
    await writeFile(join(parent, 'file'), '');
    await expect(openDataset(root, { cacheFolder: join(parent, 'file') })).rejects.toMatchObject({
      code: 'DATASET_CACHE',
      message: expect.stringMatching(/file: expected a folder.*XDG_CACHE_HOME/),
    });
  });
});

describe('hostile archives', () => {
  test('what is not a picture of the data set is ignored, wherever its name leads', async () => {
    const strangers: TarEntry[] = [
      { name: '/tmp/ortune-absolute.jpg', content: 'x' },
      { name: '../../escaped.jpg', content: 'x' },
      { name: 'jpg/../jpg/image_00001.jpg', content: 'x' },
      { name: '../jpg/image_00001.jpg', content: 'x' },
      { name: 'jpg/image_00009.jpg/nested', content: 'x' },
      { name: 'JPG/image_00001.jpg', content: 'x' },
      { name: 'jpg/link', type: '2', linkname: '/etc/passwd' },
      { name: 'jpg/hard', type: '1', linkname: '../../setid.mat' },
      { name: 'device', type: '3' },
      { name: 'block', type: '4' },
      { name: 'pipe\u001b[31m', type: '6' },
    ];
    const { parent, open } = await place(tgz([...strangers, ...pictures]));
    const dataset = await open();
    expect(Buffer.from(await readSample(dataset.train[1]!)).toString()).toMatch(/^picture 2 /);
    expect(dataset.warnings).toEqual([
      expect.stringMatching(/11 entries .* are ignored: "\/tmp\/ortune-abs.* and 1 more/),
    ]);
    expect(dataset.warnings.join()).not.toContain('\u001b');
    expect((await readdir(parent, { recursive: true })).sort()).toEqual([
      'cache',
      expect.stringMatching(/^cache\/pictures-[0-9a-f]{32}\.pack$/),
      'data',
      ...['102flowers.tgz', 'imagelabels.mat', 'setid.mat'].map((name) => `data/${name}`),
    ]);
    expect(await stat('/tmp/ortune-absolute.jpg').catch(() => 'none')).toBe('none');
    // The next run says so too, though the archive is not unpacked again.
    expect((await open()).warnings).toEqual(dataset.warnings);
  });

  const first = (entry: Partial<TarEntry>) => tgz([{ name: nameOf(1), ...entry }, ...pictures]);
  test.each<[string, Buffer, ...string[]]>([
    [
      "a symbolic link in a picture's place",
      first({ type: '2', linkname: '/etc/passwd' }),
      'image_00001.jpg" in it is a symlink',
    ],
    ['a link', first({ type: '1', linkname: nameOf(2) }), 'is a link, where a file was expected'],
    ['a device', first({ type: '3' }), 'is a character-device'],
    ['a pipe', first({ type: '6' }), 'is a pipe'],
    ['a sparse file', first({ type: 'S' }), 'of an unknown kind'],
    ['a picture twice', tgz([...pictures, pictures[1]!]), 'image_00001.jpg" is in it twice'],
    ['a picture twice, once as ./', tgz([...pictures, { ...pictures[1]!, name: `./${nameOf(1)}` }]), 'twice'],
    ['a picture of 4 GiB', first({ size: 2 ** 32 }), 'said to have 4294967296 bytes'],
    [
      'a pax header without end',
      tgz([{ name: 'pax', type: 'x', size: 2 ** 30, content: 'x' }, ...pictures]),
      'damaged or not whole',
      'max size',
    ],
    ['a size that is no number', tgz([{ name: 'pax', type: 'x', content: '14 size=many\n' }, ...pictures]), 'damaged'],
    [
      'more than it can hold',
      gzipSync(tar([{ name: 'zeros', content: Buffer.alloc(40 * 2 ** 20) }])),
      'more than 20 times its size',
    ],
    [
      'too many entries',
      tgz(
        Array.from({ length: 50_001 }, (_, index) => ({
          name: `${index}${randomBytes(30).toString('latin1').replaceAll('\0', '_')}`,
        })),
      ),
      'more than 50000 entries',
    ],
    ['one cut short', tgz(pictures).subarray(0, -20), 'damaged or not whole', 'fetch it again'],
    ['a tar cut short', gzipSync(tar(pictures).subarray(0, 3000)), 'Unexpected end of data'],
    ['a changed byte', Buffer.from(tgz(pictures).map((byte, at) => (at === 100 ? byte ^ 255 : byte))), 'damaged'],
    ['no gzip', tar(pictures), 'incorrect header check'],
    ['no tar', gzipSync(randomBytes(5000)), 'Invalid tar header'],
    ['an empty file', Buffer.alloc(0), 'damaged'],
  ])('refuses %s', async (_, bytes, ...words) => {
    const { cacheFolder, open } = await place(bytes);
    await expect(open()).rejects.toMatchObject(refusal('102flowers.tgz is not read', ...words));
    expect(await readdir(cacheFolder)).toEqual([]);
  });

  test('refuses one that changes while it is read', async () => {
    const { root, archive, cacheFolder } = await place(tgz(pictures));
    const { size } = await stat(archive);
    // A block of zeros after the archive's end changes nothing else. Another file in its place, as the one that is open may
    // be at its end already.
    const onProgress = (done: number) => {
      if (done !== size) return;
      writeFileSync(`${archive}.new`, Buffer.concat([readFileSync(archive), Buffer.alloc(512)]));
      renameSync(`${archive}.new`, archive);
    };
    await expect(openDataset(root, { cacheFolder, onProgress })).rejects.toMatchObject({
      code: 'ARCHIVE_INVALID',
      message: expect.stringContaining('changed while it was read'),
    });
    expect(await readdir(cacheFolder)).toEqual([]);
  });
});

describe.skipIf(!shared)('real pictures (ORTUNE_SHARED)', () => {
  test('all 8189 of Flowers-102 from an archive as it is published', async () => {
    const source = join(shared!, 'data/flowers102-short160');
    const names = (await readdir(join(source, 'jpg'))).sort();
    const entries = await Promise.all(
      names.map(async (name) => ({ name: `jpg/${name}`, content: await readFile(join(source, 'jpg', name)) })),
    );
    const parent = await folderOf({ '102flowers.tgz': tgz([{ name: 'jpg/', type: '5' }, ...entries]) });
    for (const name of ['imagelabels.mat', 'setid.mat']) {
      await writeFile(join(parent, name), await readFile(join(source, name)));
    }
    const options = { cacheFolder: join(parent, 'cache'), split: 'official' };
    const [packed, plain] = [await openDataset(parent, options), await openDataset(source, { split: 'official' })];
    expect([packed.train.length, packed.valid.length, packed.test.length]).toEqual([1020, 1020, 6149]);
    const unpacked = all(plain);
    for (const [index, sample] of all(packed).entries()) {
      const { file, label } = unpacked[index]!;
      expect(sample.label).toBe(label);
      expect(Buffer.compare(await readSample(sample), await readFile(file))).toBe(0);
    }
    expect(await checkImages(packed.train.slice(0, 100))).toEqual([]);
  });
});
