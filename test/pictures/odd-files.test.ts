import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { encodeModel, extract, PROBABILITIES } from '../../onnx/index.ts';
import { AUGMENTATION_DEFAULTS } from '../../src/augment/index.ts';
import { drawPreview } from '../../src/augment/preview.ts';
import { buildGraph } from '../../src/build-graph.ts';
import { checkData, formatReport } from '../../src/check-data/index.ts';
import { type BatchOptions, batches } from '../../src/data/batches.ts';
import { badImagesError, checkImages } from '../../src/data/check.ts';
import { openDataset } from '../../src/data/dataset.ts';
import { DecodedCache } from '../../src/data/decoded-cache.ts';
import { evaluate, type Prediction, predict, withClassifierMetadata } from '../../src/inference/index.ts';
import { pretrain } from '../../src/training/index.ts';
import { collect, folderOf } from '../data/fixtures.ts';
import { jpegBytes } from './jpeg-bytes.ts';

const good = jpegBytes({ components: [90, 120, 140] });
const other = jpegBytes({ components: [190, 120, 140] });
const PLAIN = { 'train/plain/1.jpg': other, 'test/odd/2.jpg': good, 'test/plain/3.jpg': other };
const AS_TESTED: BatchOptions = { batchSize: 2, imageSize: 32, seed: 0, pass: 0, augment: false, shuffle: false };

/** Of the classes `odd` and `plain`, 32 pixels wide. */
let served: { readonly graph: string; readonly model: string };
beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ortune-odd-files-'));
  served = { graph: join(folder, 'graph.onnx'), model: join(folder, 'model.onnx') };
  const { model } = await buildGraph({ width: 0.125, classes: 2, imageSize: 32, seed: 3, out: served.graph });
  const answering = withClassifierMetadata(extract(model, [], [PROBABILITIES]), {
    classes: ['odd', 'plain'],
    transform: { imageSize: 32, resizeSize: 37 },
  });
  await writeFile(served.model, encodeModel(answering));
  return () => rm(folder, { recursive: true });
});

describe('names', () => {
  const names = [
    ' spaces before, within and after .jpg',
    'new\nline.jpg',
    'tab\tand\u001b[31mred.jpg',
    `quotes"'\`.jpg`,
    '-dash.jpg',
    '--out=x.jpg',
    'a#b%20c?d*e.jpg',
    'back\\slash.jpg',
    '[brackets]{braces}(parens)!.jpg',
    'comma, semicolon; and = more.jpg',
    'caf\u00e9.jpg',
    'cafe\u0301 as macOS writes it.jpg',
    '花 \u{1f33b} \u202ertl.jpg',
    `${'long'.repeat(62)}.jpg`,
    'UPPER.JPG',
    'two.dots.jpeg',
    'undefined.jpg',
  ];
  const files = Object.fromEntries(names.map((name) => [`train/odd/${name}`, good]));

  test('of any kind are listed, checked, trained on and predicted; hidden and other files are not', async () => {
    const more = { 'train/odd/.hidden.jpg': '', 'train/odd/no-extension': '', 'train/odd/picture.jpg.txt': '' };
    const root = await folderOf({ ...PLAIN, ...files, ...more });
    const { train, warnings } = await openDataset(root);
    const odd = train.filter(({ label }) => label === 0);
    expect(odd.map(({ file }) => basename(file)).sort()).toEqual([...names].sort());
    expect(warnings).toEqual([expect.stringMatching(/^2 files without a picture's extension .*no-extension/)]);
    expect(await checkImages(train)).toEqual([]);
    const sizes = (await collect(batches(train, AS_TESTED))).map(({ size }) => size);
    expect(sizes.reduce((sum, size) => sum + size)).toBe(names.length + 1);
    const told = await collect(predict(join(root, 'train/odd'), { ...served, threads: 1 }));
    expect(told.filter((one) => 'predictions' in one).map(({ file }) => basename(file))).toEqual([...names].sort());
    // Each by itself, too: a file that is there is no pattern.
    const each = await collect(
      predict(
        odd.map(({ file }) => file),
        { ...served, threads: 1 },
      ),
    );
    expect(each).toHaveLength(names.length);
  });

  test('in a CSV file are found as they are', async () => {
    // Its fields are trimmed, and a picture is a line of its own or quoted.
    const listed = names.filter((name) => !name.startsWith(' '));
    const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;
    const rows = listed.map((name, index) => `${quoted(`train/odd/${name}`)},${index % 2 ? 'odd' : 'plain'}`);
    const root = await folderOf({ ...files, 'labels.csv': ['file,label', ...rows].join('\n') });
    const { train, test } = await openDataset(root);
    // A backslash is a letter of a name here, and a separator elsewhere.
    expect([...train, ...test].map(({ file }) => basename(file)).sort()).toEqual([...listed].sort());
    expect(await checkImages(train)).toEqual([]);
  });

  test('keep to their line in messages, and do not speak to the terminal', async () => {
    const name = 'a\nb\u001b[2J.jpg';
    const root = await folderOf({ ...PLAIN, 'train/odd/1.jpg': good, [`train/odd/${name}`]: '' });
    const shown = String.raw`train/odd/a\u000ab\u001b[2J.jpg: the file is empty`;
    expect(formatReport(await checkData(root), true)).toContain(`\n  ${shown}\n`);
    const { train } = await openDataset(root);
    const bad = await checkImages(train);
    expect(bad.map(({ file }) => basename(file))).toEqual([name]);
    expect(badImagesError(bad, 2).message).toContain(`\n  ${root}/${shown}\n`);
    await expect(collect(batches(train, AS_TESTED))).rejects.toThrow(String.raw`a\u000ab\u001b[2J.jpg cannot be`);
  });

  test('of classes that look the same are an error, as they would be two', async () => {
    const root = await folderOf({ 'caf\u00e9/1.jpg': good, 'cafe\u0301/2.jpg': good });
    await expect(openDataset(root)).rejects.toMatchObject({
      code: 'DATASET_LABELS',
      message: expect.stringContaining('two labels look the same, "caf\u00e9"'),
    });
  });
});

describe('files that are none, or not there', () => {
  const NOT_REGULAR = 'it is not a regular file';
  test.each<[string, string, (file: string) => unknown]>([
    ['a pipe', NOT_REGULAR, (file) => execFileSync('mkfifo', [file])],
    ['a socket', NOT_REGULAR, listenAt],
    ['a link to a device', NOT_REGULAR, (file) => symlink('/dev/zero', file)],
    ['a link that leads nowhere', 'the file cannot be read (ENOENT)', (file) => symlink('/nowhere', file)],
    ['a link to itself', 'the file cannot be read (ELOOP)', (file) => symlink(file, file)],
    ['a sparse file of 600 MiB', 'it has 629145600 bytes, and at most 536870912 are read; save it smaller', sparse],
    ['a name that is not UTF-8', 'the file cannot be read (ENOENT); its name is not UTF-8, rename it', notUtf8],
  ])('%s: %s', async (_, reason, make) => {
    const root = await folderOf({ ...PLAIN, 'train/odd/1.jpg': good });
    await make(join(root, 'train/odd/odd.jpg'));
    const { train, classes } = await openDataset(root);
    expect(train).toHaveLength(3);
    const file = train.find(({ file }) => basename(file) !== '1.jpg')!.file;
    expect(await checkImages(train)).toEqual([{ file, reason }]);
    expect((await checkData(root)).problems[0]).toMatchObject({
      code: 'IMAGE_UNREADABLE',
      path: file,
      message: reason,
    });
    const error = { code: 'IMAGE_UNREADABLE', message: `${file} cannot be decoded: ${reason}.` };
    await expect(collect(batches(train, AS_TESTED))).rejects.toMatchObject(error);
    await expect(evaluate({ ...served, data: root, part: 'train', threads: 1 })).rejects.toMatchObject(error);
    const look = { augmentation: AUGMENTATION_DEFAULTS, chosen: [0, 1], passes: 1, imageSize: 32, seed: 0 };
    await expect(drawPreview({ train, classes }, look)).rejects.toMatchObject(error);
    const options = {
      data: root,
      ...served,
      weights: 'none',
      device: 'cpu',
      threads: 1,
      passes: 1,
      batchSize: 2,
    } as const;
    const out = join(await folderOf({}), 'head');
    await expect(pretrain({ ...options, out })).rejects.toMatchObject({
      code: 'IMAGE_UNREADABLE',
      message: badImagesError([{ file, reason }], 5).message,
    });
    expect((await pretrain({ ...options, out, onBadImage: 'skip' })).history).toHaveLength(1);
    const told = await collect(predict(join(root, 'train/odd'), { ...served, threads: 1 }));
    expect(told.map((one) => ('error' in one ? one.error.message : 'told')).sort()).toEqual([error.message, 'told']);
  });

  async function listenAt(file: string): Promise<void> {
    const server = createServer().listen(file);
    onTestFinished(() => new Promise<void>((closed) => void server.close(() => closed())));
    await new Promise((listening) => server.once('listening', listening));
  }

  async function sparse(file: string): Promise<void> {
    await writeFile(file, '');
    await truncate(file, 600 * 2 ** 20);
  }

  function notUtf8(file: string): Promise<void> {
    return writeFile(Buffer.from(file.replace('odd.jpg', 'caf\xe9.jpg'), 'latin1'), good);
  }

  test('links to pictures and folders are followed, but not in circles; a folder may be called as a picture', async () => {
    const elsewhere = await folderOf({ 'far/5.jpg': good });
    const root = await folderOf({ ...PLAIN, 'train/odd/folder.jpg/4.jpg': good });
    await mkdir(join(root, 'train/odd/empty.jpg'));
    await symlink(join(root, 'test/odd/2.jpg'), join(root, 'train/odd/link.jpg'));
    await symlink(join(elsewhere, 'far'), join(root, 'train/odd/far'));
    await symlink(join(root, 'train'), join(root, 'train/odd/circle'));
    const { train } = await openDataset(root);
    const names = train.map(({ file }) => file.slice(root.length + 1));
    const odd = ['train/odd/far/5.jpg', 'train/odd/folder.jpg/4.jpg', 'train/odd/link.jpg'];
    expect(names).toEqual([...odd, 'train/plain/1.jpg']);
    expect(await checkImages(train)).toEqual([]);
  });

  test.each(['pipe.csv', 'folder/labels.csv'])('a list that is a pipe is not waited for: %s', async (name) => {
    const root = await folderOf({ 'folder/a/1.jpg': good, 'folder/b/2.jpg': good });
    const list = join(root, name);
    execFileSync('mkfifo', [list]);
    await expect(openDataset(name === 'pipe.csv' ? list : join(root, 'folder'))).rejects.toMatchObject({
      code: 'DATASET_UNREADABLE',
      message: `${list} cannot be read: it is not a regular file.`,
    });
  });

  test('a class without pictures stops all', async () => {
    const root = await folderOf({ 'a/1.jpg': good, 'a/2.jpg': good });
    await mkdir(join(root, 'b'));
    const error = { code: 'DATASET_CLASSES', message: expect.stringContaining('"b"') };
    await expect(openDataset(root)).rejects.toMatchObject(error);
    await expect(checkData(root)).rejects.toMatchObject(error);
  });
});

describe('pictures that change while they are read', () => {
  const GONE = 'the file cannot be read (ENOENT)';
  const many = (part: string) =>
    Object.fromEntries(Array.from({ length: 12 }, (_, index) => [`${part}/odd/n${index + 10}.jpg`, good]));

  test('gone after the list was made: named by the check, and by whatever reads it', async () => {
    const root = await folderOf({ ...PLAIN, ...many('train') });
    const { train } = await openDataset(root);
    const file = join(root, 'train/odd/n21.jpg');
    await rm(file);
    expect(await checkImages(train)).toEqual([{ file, reason: GONE }]);
    const error = { code: 'IMAGE_UNREADABLE', message: `${file} cannot be decoded: ${GONE}.` };
    await expect(collect(batches(train, AS_TESTED))).rejects.toMatchObject(error);
  });

  test('gone after the check: stage one stops, names it and leaves no result', async () => {
    const root = await folderOf({ ...PLAIN, ...many('train') });
    const { graph } = served;
    const out = join(await folderOf({}), 'head');
    const run = pretrain({
      data: root,
      graph,
      weights: 'none',
      device: 'cpu',
      threads: 1,
      passes: 1,
      batchSize: 2,
      out,
      onEvent: async ({ type }) => {
        if (type === 'start') await rm(join(root, 'train/odd/n21.jpg'));
      },
    });
    await expect(run).rejects.toMatchObject({ code: 'IMAGE_UNREADABLE', message: expect.stringContaining('n21.jpg') });
    await expect(rm(out)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('gone between two predictions: the others are told', async () => {
    const root = await folderOf(many('train'));
    const told: Prediction[] = [];
    for await (const one of predict(root, { ...served, threads: 1 })) {
      if (told.push(one) === 1) await rm(join(root, 'train/odd/n21.jpg'));
    }
    expect(told).toHaveLength(12);
    expect(told.filter((one) => 'error' in one)).toEqual([
      { file: join(root, 'train/odd/n21.jpg'), error: expect.objectContaining({ code: 'IMAGE_UNREADABLE' }) },
    ]);
  });

  test('replaced by another picture between two passes: refused; touched: not', async () => {
    const root = await folderOf({ ...PLAIN, ...many('train') });
    const { train } = await openDataset(root);
    await using cache = new DecodedCache();
    const pass = (number: number) => collect(batches(train, { ...AS_TESTED, cache, pass: number }));
    await pass(0);
    await writeFile(join(root, 'train/odd/n21.jpg'), good);
    await pass(1);
    await writeFile(join(root, 'train/odd/n21.jpg'), other);
    await expect(pass(2)).rejects.toMatchObject({
      code: 'IMAGE_CHANGED',
      message: expect.stringContaining('n21.jpg'),
    });
  });
});
