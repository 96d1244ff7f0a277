import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type CheckEvent, checkData, type DataReport, formatReport } from '../../src/check-data/index.ts';
import { runCommand } from '../cli/command.ts';
import { flowers, folderOf, painted } from '../data/fixtures.ts';
import { tgz } from '../data/tgz.ts';
import { shared } from '../shared.ts';
import { blobs } from './pictures.ts';

const jpeg = (number: number, quality = 90) => blobs(number).jpeg({ quality }).toBuffer();

/** train/ and test/ of two classes with five and one good pictures each, and what else is given. */
async function pictures(more: Record<string, string | Uint8Array>): Promise<string> {
  const files: Record<string, string | Uint8Array> = {};
  for (const [index, name] of ['a', 'b'].entries()) {
    for (let number = 0; number < 5; number++) files[`train/${name}/${number}.jpg`] = await jpeg(100 * index + number);
    files[`test/${name}/0.jpg`] = await jpeg(100 * index + 50);
  }
  return folderOf({ ...files, ...more });
}

const problemsOf = ({ root, problems }: DataReport) =>
  problems.map(({ code, path, related, message }) => [
    code,
    path.slice(root.length + 1),
    related.map((file) => file.slice(root.length + 1)),
    message,
  ]);

describe('checkData', () => {
  test('counts classes, formats and sizes', async () => {
    const root = await pictures({ 'valid/b/wide.png': await blobs(7, 700, 300).png().toBuffer() });
    const report = await checkData(root);
    expect(report).toMatchObject({
      root,
      kind: 'folder',
      split: 'folders',
      parts: { train: 10, valid: 1, test: 2 },
      classes: [
        { name: 'a', train: 5, valid: 0, test: 1 },
        { name: 'b', train: 5, valid: 1, test: 1 },
      ],
      formats: { jpeg: 12, png: 1 },
      width: { min: 120, median: 120, max: 700 },
      height: { min: 90, median: 90, max: 300 },
      problems: [],
    });
    expect(report.shortSides.filter(({ count }) => count > 0)).toEqual([
      { from: 64, to: 128, count: 12 },
      { from: 256, to: 512, count: 1 },
    ]);
  });

  test('broken pictures are errors, with what they really are', async () => {
    const whole = await jpeg(1);
    const root = await pictures({
      'train/a/cut.jpg': whole.subarray(0, whole.length / 2),
      'train/a/empty.jpg': '',
      'train/a/page.jpg': '<!DOCTYPE html><p>Not found',
      'test/a/phone.jpg': Buffer.from('\0\0\0\x18ftypheic\0\0\0\0', 'latin1'),
    });
    await symlink('/nowhere', join(root, 'test/a/gone.jpg'));
    const report = await checkData(root);
    expect(report.problems.every(({ code, severity }) => code === 'IMAGE_UNREADABLE' && severity === 'error')).toBe(
      true,
    );
    const reasons = Object.fromEntries(problemsOf(report).map(([, path, , message]) => [path, message]));
    expect(reasons).toEqual({
      'train/a/cut.jpg': expect.stringMatching(/./),
      'train/a/empty.jpg': 'the file is empty',
      'train/a/page.jpg': expect.stringMatching(/unsupported image format; it looks like a web page/),
      'test/a/phone.jpg': expect.stringContaining('HEIC'),
      'test/a/gone.jpg': 'the file cannot be read (ENOENT)',
    });
  });

  test('tiny, plain and wrongly named pictures', async () => {
    const root = await pictures({
      'train/a/small.png': await blobs(8, 63, 200).png().toBuffer(),
      'train/a/named.jpg': await blobs(9).webp({ lossless: true }).toBuffer(),
      'train/a/avif.avif': await blobs(11).avif().toBuffer(),
      'train/a/scan.TIF': await blobs(12).tiff().toBuffer(),
      'train/b/grey.png': await painted(80, 80, () => [90, 90, 91])
        .png()
        .toBuffer(),
    });
    expect(problemsOf(await checkData(root))).toEqual([
      ['IMAGE_TINY', 'train/a/small.png', [], '63 x 200 pixels'],
      ['IMAGE_PLAIN', 'train/b/grey.png', [], 'about one colour all over'],
      ['EXTENSION_MISMATCH', 'train/a/named.jpg', [], 'its content is WEBP'],
    ]);
  });

  test('duplicates: across parts, across classes, and within', async () => {
    const [leak, twice, both] = [await jpeg(1), await jpeg(300), await jpeg(301)];
    const root = await pictures({
      'test/a/leak.jpg': leak,
      'train/a/twice.jpg': twice,
      'train/a/twice-again.jpg': twice,
      'train/a/both.jpg': both,
      'train/b/both.jpg': both,
    });
    expect(problemsOf(await checkData(root))).toEqual([
      ['LEAK_DUPLICATE', 'test/a/leak.jpg', ['train/a/1.jpg'], 'in test, the same file as train/a/1.jpg (train)'],
      [
        'LABELS_DUPLICATE',
        'train/a/both.jpg',
        ['train/b/both.jpg'],
        'in class "a", the same file as train/b/both.jpg ("b")',
      ],
      ['DUPLICATE', 'train/a/twice-again.jpg', ['train/a/twice.jpg'], 'the same file as train/a/twice.jpg'],
    ]);
  });

  test('near-duplicates: the same, from copies at another quality and size', async () => {
    const smaller = (number: number) => blobs(number, 100, 75).jpeg({ quality: 60 }).toBuffer();
    const root = await pictures({
      'test/a/leak.jpg': await smaller(1),
      'test/b/leak.jpg': await smaller(102),
      'test/b/copy.jpg': await smaller(102),
      'train/a/again.jpg': await smaller(3),
      'train/a/once-more.jpg': await jpeg(3, 40),
      'train/b/other.jpg': await smaller(4),
    });
    expect(problemsOf(await checkData(root))).toEqual([
      [
        'LEAK_NEAR_DUPLICATE',
        'test/a/leak.jpg',
        ['train/a/1.jpg'],
        'in test, nearly the same picture as train/a/1.jpg (train)',
      ],
      [
        'LEAK_NEAR_DUPLICATE',
        'test/b/copy.jpg',
        ['train/b/2.jpg'],
        'in test, nearly the same picture as train/b/2.jpg (train)',
      ],
      [
        'LEAK_NEAR_DUPLICATE',
        'test/b/leak.jpg',
        ['train/b/2.jpg'],
        'in test, nearly the same picture as train/b/2.jpg (train)',
      ],
      [
        'LABELS_NEAR_DUPLICATE',
        'train/b/other.jpg',
        ['train/a/4.jpg'],
        'in class "b", nearly the same picture as train/a/4.jpg ("a")',
      ],
      ['DUPLICATE', 'test/b/copy.jpg', ['test/b/leak.jpg'], 'the same file as test/b/leak.jpg'],
      [
        'NEAR_DUPLICATE',
        'train/a/3.jpg',
        ['train/a/again.jpg', 'train/a/once-more.jpg'],
        'nearly the same picture as train/a/again.jpg, train/a/once-more.jpg',
      ],
    ]);
  });

  test('classes: few pictures, untested, of very different size; notes of the data set', async () => {
    const root = await folderOf({ 'train/lonely/0.jpg': await jpeg(1), 'train/lonely/notes.txt': '' });
    for (const [part, count] of [
      ['train', 11],
      ['test', 1],
    ] as const) {
      await mkdir(join(root, part, 'many'), { recursive: true });
      for (let number = 0; number < count; number++) {
        await writeFile(
          join(root, part, 'many', `${number}.jpg`),
          await jpeg(10 + number + (part === 'test' ? 100 : 0)),
        );
      }
    }
    expect(problemsOf(await checkData(root)).map(([code, , , message]) => [code, message])).toEqual([
      ['CLASS_UNTESTED', 'class "lonely" has no test picture'],
      ['CLASS_FEW', 'class "lonely" has 1 training picture'],
      ['CLASS_IMBALANCE', 'class "many" has 11 training pictures, class "lonely" 1'],
      ['DATASET_NOTE', expect.stringContaining('notes.txt')],
    ]);
  });

  test('tells how far it is, stops at a signal, and leaves the folder as it was', async () => {
    const root = await pictures({});
    const before = await readdir(root, { recursive: true });
    const events: CheckEvent[] = [];
    await checkData(root, { onEvent: (event) => events.push(event) });
    expect(events.filter(({ task }) => task === 'pictures').map(({ done, total }) => `${done}/${total}`)).toEqual(
      Array.from({ length: 12 }, (_, index) => `${index + 1}/12`),
    );
    expect(events.at(-1)).toEqual({ type: 'progress', task: 'duplicates', done: 12, total: 12 });
    const stop = new AbortController();
    const onEvent = ({ done }: CheckEvent) => done === 3 && stop.abort(new Error('enough'));
    await expect(checkData(root, { onEvent, signal: stop.signal })).rejects.toThrow('enough');
    expect(await readdir(root, { recursive: true })).toEqual(before);
  });

  test('looks into an archive', async () => {
    const { 'imagelabels.mat': labels, 'setid.mat': sets } = flowers([1, 2, 1, 2], {
      trnid: [1, 2],
      valid: [],
      tstid: [3, 4],
    });
    const names = [1, 2, 3, 4].map((number) => `jpg/image_0000${number}.jpg`);
    const contents = [await jpeg(1), await jpeg(2), await jpeg(3), await jpeg(1)];
    const archive = tgz(names.map((name, index) => ({ name, content: contents[index]! })));
    const root = await folderOf({ '102flowers.tgz': archive, 'imagelabels.mat': labels!, 'setid.mat': sets! });
    const report = await checkData(root, { cacheFolder: await folderOf({}) });
    expect(report.root).toBe(join(root, '102flowers.tgz'));
    expect(problemsOf(report).slice(0, 2)).toEqual([
      ['LEAK_DUPLICATE', names[0], [names[3]], `in test, the same file as ${names[3]} (train)`],
      ['LABELS_DUPLICATE', names[3], [names[0]], `in class "2", the same file as ${names[0]} ("1")`],
    ]);
  });
});

describe('npx ortune check-data', () => {
  const run = (data: string, ...flags: string[]) => runCommand(dirname(data), 'check-data', ['--data', data, ...flags]);

  test('ends with 0 after warnings and 1 after errors', async () => {
    const root = await pictures({ 'train/a/copy.jpg': await jpeg(1) });
    const warned = await run(root);
    expect({ code: warned.code, stderr: warned.stderr }).toEqual({ code: 0, stderr: '' });
    expect(warned.stdout).toContain('2 classes, 11 train, 0 valid, 2 test');
    expect(warned.stdout).toMatch(
      /Warning DUPLICATE \(1\): .*\n {2}train\/a\/1\.jpg: the same file as train\/a\/copy\.jpg\n/,
    );
    expect(warned.stdout).toMatch(/0 errors, 1 warning \(/);
    await writeFile(join(root, 'train/b/broken.jpg'), 'x');
    const failed = await run(root, '--json');
    expect(failed.code).toBe(1);
    const { problems } = JSON.parse(failed.stdout) as DataReport;
    expect(problems[0]).toMatchObject({
      code: 'IMAGE_UNREADABLE',
      severity: 'error',
      path: join(root, 'train/b/broken.jpg'),
    });
  });

  test('what is no data set is an error in either form', async () => {
    const root = await folderOf({ 'x/nothing.txt': '' });
    const text = await run(join(root, 'none'));
    expect(text).toMatchObject({ code: 1, stdout: '', stderr: expect.stringMatching(/^Error: No data set at /) });
    const json = await run(join(root, 'none'), '--json');
    expect(json).toMatchObject({ code: 1, stderr: '' });
    expect(JSON.parse(json.stdout).problems).toEqual([
      expect.objectContaining({ code: 'DATASET_NOT_FOUND', severity: 'error' }),
    ]);
  });
});

test('of many problems and classes the text shows the first, and says how many there are', () => {
  const classes = Array.from({ length: 30 }, (_, index) => ({
    name: `class ${index}`,
    train: 100 - index,
    valid: 0,
    test: 1,
  }));
  const problems = Array.from({ length: 12 }, (_, index) => ({
    code: 'IMAGE_TINY' as const,
    severity: 'warning' as const,
    path: `/data/${index}.jpg`,
    related: [],
    message: '10 x 10 pixels',
  }));
  const report: DataReport = {
    root: '/data',
    kind: 'folder',
    split: 'ratio:0.8',
    parts: { train: 2565, valid: 0, test: 30 },
    classes,
    formats: { jpeg: 2595 },
    width: { min: 1, median: 2, max: 3 },
    height: { min: 1, median: 2, max: 3 },
    shortSides: [{ from: 0, to: 32, count: 2595 }],
    problems,
    seconds: 1,
  };
  const short = formatReport(report, false);
  expect(short).toContain('... 20 classes between (--verbose lists all)');
  expect(short.match(/10 x 10/g)).toHaveLength(5);
  expect(short).toContain('and 7 more (--verbose lists all)');
  const long = formatReport(report, true);
  expect(long.match(/10 x 10/g)).toHaveLength(12);
  expect(long.match(/^class \d+ /gm)).toHaveLength(30);
});

test.skipIf(!shared)(
  'flowers10 (ORTUNE_SHARED) has one picture twice in train, and one in train and valid',
  async () => {
    const { problems, formats } = await checkData(join(shared!, 'data/flowers10'));
    expect(formats).toEqual({ jpeg: 490 });
    expect(
      problems.map(({ code, path, related }) => [code, ...[path, ...related].map((file) => file.slice(-9, -4))]),
    ).toEqual([
      ['LEAK_NEAR_DUPLICATE', '04076', '04021'],
      ['NEAR_DUPLICATE', '05153', '05170'],
    ]);
  },
);
