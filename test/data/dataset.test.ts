import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { checkImages } from '../../src/data/check.ts';
import { type Dataset, openDataset, type Sample } from '../../src/data/dataset.ts';
import { shared } from '../shared.ts';
import { flowers, folderOf, named } from './fixtures.ts';

const names = (dataset: Dataset, samples: readonly Sample[]) =>
  samples.map(({ file, label }) => `${file.slice(dataset.root.length + 1)}=${dataset.classes[label]}`);

const refusal = (code: string, ...words: string[]) => ({
  name: 'OrtuneError',
  code,
  message: expect.stringMatching(
    words.map((word) => `(?=[^]*${word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')})`).join(''),
  ),
});

describe('Flowers-102', () => {
  // Pictures 1 to 6 of classes 1 to 3, two each.
  const small = () => flowers([3, 3, 1, 1, 2, 2], { trnid: [5, 3, 1], valid: [], tstid: [6, 2, 4] });

  test('the tutorial trains on tstid, officially it is trnid; in the order of the sets', async () => {
    const root = await folderOf(small());
    const tutorial = await openDataset(root);
    expect(tutorial).toMatchObject({
      root,
      kind: 'flowers102',
      split: 'tutorial',
      classes: ['1', '2', '3'],
      warnings: [],
    });
    expect(names(tutorial, tutorial.train)).toEqual([
      'jpg/image_00006.jpg=2',
      'jpg/image_00002.jpg=3',
      'jpg/image_00004.jpg=1',
    ]);
    const official = await openDataset(root, { split: 'official' });
    expect(official.train).toEqual(tutorial.test);
    expect(official.test).toEqual(tutorial.train);
    expect((await openDataset(root, { split: 'ratio:.5' })).split).toBe('ratio:0.5');
  });

  test('classes are named by cat_to_name.json in the order of their numbers', async () => {
    const root = await folderOf({ ...small(), 'cat_to_name.json': '{"3":"aster","1":"zinnia","2":"moss","4":"none"}' });
    expect((await openDataset(root)).classes).toEqual(['zinnia', 'moss', 'aster']);
  });

  test.each([
    ['{"3":"aster","1":"zinnia"}', 'no name for class 2'],
    ['{"3":"aster","1":"aster","2":"moss"}', 'two classes of one name'],
    ['[', 'JSON'],
    ['null', 'null'],
  ])('names that do not fit (%s) are passed over with a warning', async (json, words) => {
    const { classes, warnings } = await openDataset(await folderOf({ ...small(), 'cat_to_name.json': json }));
    expect(classes).toEqual(['1', '2', '3']);
    expect(warnings).toEqual([expect.stringContaining(words)]);
  });

  test.each([
    ['setid.mat', ['no setid.mat']],
    ['imagelabels.mat', ['no imagelabels.mat']],
    ['jpg/', ['no jpg']],
  ])('without %s', async (absent, words) => {
    const files = Object.fromEntries(Object.entries(small()).filter(([name]) => !name.startsWith(absent)));
    await expect(openDataset(await folderOf(files))).rejects.toMatchObject(refusal('DATASET_LAYOUT', ...words));
  });

  test('missing pictures are named and counted', async () => {
    const files = small();
    delete files['jpg/image_00002.jpg'];
    await expect(openDataset(await folderOf(files))).rejects.toMatchObject(
      refusal('DATASET_FILES_MISSING', '1 of 6', 'jpg/image_00002.jpg'),
    );
  });

  const sets = { trnid: [1, 2], valid: [], tstid: [3, 4] };
  type Case = [string, Record<string, string | Uint8Array>, code: string, ...words: string[]];
  test.each<Case>([
    ['a label of 0', flowers([1, 2, 0, 2], sets), 'DATASET_LABELS', 'label 0 of picture 3'],
    ['a class without a picture', flowers([1, 3, 1, 3], sets), 'DATASET_CLASSES', 'no training picture', '"2"'],
    ['a class that only the test has', flowers([1, 2, 1, 1], sets), 'DATASET_CLASSES', '"2"'],
    [
      'a number beyond the labels',
      flowers([1, 2, 1, 2], { ...sets, tstid: [3, 5] }),
      'DATASET_SPLIT',
      'picture 5 in "tstid"',
    ],
    [
      'a picture in two sets',
      flowers([1, 2, 1, 2], { ...sets, tstid: [3, 2] }),
      'DATASET_SPLIT',
      'is in "trnid" already',
    ],
    ['one class', flowers([1, 1, 1, 1], sets), 'DATASET_CLASSES', 'found 1 ("1")'],
    [
      'a file without the array',
      { ...flowers([1, 2, 1, 2], sets), 'setid.mat': flowers([1], sets)['imagelabels.mat']! },
      'MAT_INVALID',
      'no numeric array "trnid"; it has: labels',
    ],
    ['a broken file', { ...flowers([1, 2, 1, 2], sets), 'setid.mat': 'oops' }, 'MAT_INVALID', 'setid.mat'],
  ])('refuses %s', async (_, files, code, ...words) => {
    await expect(openDataset(await folderOf(files))).rejects.toMatchObject(refusal(code, ...words));
  });
});

describe('CSV', () => {
  const pictures = named('a/1.jpg', 'a/2.jpg', 'b, c/3.jpg', '4.png');
  const open = async (csv: string | Uint8Array, split?: string) =>
    openDataset(await folderOf({ ...pictures, 'labels.csv': csv }), split === undefined ? {} : { split });

  test('its own column is the split; a byte order mark, CRLF, quotes and other columns do no harm', async () => {
    const dataset = await open(
      '\ufeffid,Label,split,file\r\n7,"rose, red",train,a/1.jpg\r\n8,aster,train,./a/2.jpg\r\n9,aster,Test,"b, c/3.jpg"\r\n,"rose, red",valid,4.png\r\n\r\n',
    );
    expect(dataset).toMatchObject({ kind: 'csv', split: 'column', classes: ['aster', 'rose, red'], warnings: [] });
    expect(names(dataset, dataset.train)).toEqual(['a/1.jpg=rose, red', 'a/2.jpg=aster']);
    expect(names(dataset, dataset.valid)).toEqual(['4.png=rose, red']);
    expect(names(dataset, dataset.test)).toEqual(['b, c/3.jpg=aster']);
  });

  test('a CSV file of any name may be given itself', async () => {
    const root = await folderOf({ ...pictures, 'other.csv': 'file,label\na/1.jpg,x\na/2.jpg,y\n4.png,x' });
    const dataset = await openDataset(join(root, 'other.csv'));
    expect(dataset).toMatchObject({ root, kind: 'csv', split: 'ratio:0.8', classes: ['x', 'y'] });
  });

  test('numbers sort as numbers, one name among them makes all of them names', async () => {
    const of = async (labels: string[]) =>
      (
        await open(
          `file,label,split\n${['a/1.jpg', 'a/2.jpg', '4.png'].map((file, row) => `${file},${labels[row]},train`).join('\n')}\n"b, c/3.jpg",${labels[0]},test`,
        )
      ).classes;
    expect(await of(['10', '9', '-1'])).toEqual(['-1', '9', '10']);
    // What a table with gaps becomes when it is exported.
    expect(await of(['10.0', '9.0', '2.0'])).toEqual(['2.0', '9.0', '10.0']);
    expect(await of(['10', '9', 'x'])).toEqual(['10', '9', 'x']);
    expect(await of(['b', 'B', 'a'])).toEqual(['B', 'a', 'b']);
    await expect(of(['1', '01', '2'])).rejects.toMatchObject(refusal('DATASET_LABELS', '"01"', '"1"'));
    await expect(of(['1', '1.0', '2'])).rejects.toMatchObject(refusal('DATASET_LABELS', '"1"', '"1.0"'));
  });

  test('without test rows the valid ones are tested on, with a warning', async () => {
    const dataset = await open('file,label,split\na/1.jpg,x,train\na/2.jpg,y,train\n4.png,x,valid\n');
    expect(names(dataset, dataset.test)).toEqual(['4.png=x']);
    expect(dataset.valid).toEqual([]);
    expect(dataset.warnings).toEqual([expect.stringContaining('validation')]);
  });

  test('its column can be overruled by a ratio', async () => {
    const dataset = await open('file,label,split\na/1.jpg,x,test\na/2.jpg,x,test\n4.png,y,test\n', 'ratio:0.5');
    expect([dataset.train.length, dataset.test.length]).toEqual([2, 1]);
  });

  test.each([
    ['no columns', 'name,label\na/1.jpg,x', 'CSV_INVALID', 'file,label', 'found: name,label'],
    ['semicolons', 'file;label\na/1.jpg;x', 'CSV_INVALID', 'separated by commas?'],
    ['nothing', '', 'CSV_INVALID', 'no picture'],
    ['a header alone', 'file,label\n', 'CSV_INVALID', 'no picture'],
    ['a short row', 'file,label\na/1.jpg,x\na/2.jpg\n', 'CSV_INVALID', 'line 3'],
    ['an open quote', 'file,label\n"a/1.jpg,x\n', 'CSV_INVALID', 'Quote'],
    ['an empty label', 'file,label\na/1.jpg,\n', 'CSV_INVALID', 'line 2', '"a/1.jpg" has no label'],
    ['an empty file', 'file,label\n,x\n', 'CSV_INVALID', 'line 2'],
    ['a file twice', 'file,label\na/1.jpg,x\na//1.jpg,y\n', 'CSV_INVALID', 'line 3', 'on line 2 already'],
    [
      'an unknown split',
      'file,label,split\na/1.jpg,x,training\n',
      'CSV_INVALID',
      'line 2',
      '"training"',
      'train, valid, test',
    ],
    ['a row without its split', 'file,label,split\na/1.jpg,x,\n', 'CSV_INVALID', 'line 2', 'split ""'],
    ['a way out', 'file,label\na/../../1.jpg,x\n', 'CSV_INVALID', 'line 2', 'leads out'],
    ['an absolute path', 'file,label\n/etc/hostname,x\n', 'CSV_INVALID', 'line 2', 'leads out'],
    [
      'missing files',
      'file,label\na/1.jpg,x\na/9.jpg,y\nz/1.jpg,y\n',
      'DATASET_FILES_MISSING',
      '2 of 3',
      'a/9.jpg, z/1.jpg',
    ],
    ['one class', 'file,label\na/1.jpg,x\na/2.jpg,x\n', 'DATASET_CLASSES', 'found 1 ("x")'],
    ['a class that only the test has', 'file,label,split\na/1.jpg,x,train\na/2.jpg,y,test\n', 'DATASET_CLASSES', '"y"'],
    ['training rows alone', 'file,label,split\na/1.jpg,x,train\na/2.jpg,y,train\n', 'DATASET_SPLIT', 'ratio:0.8'],
    ['single pictures alone', 'file,label\na/1.jpg,x\na/2.jpg,y\n', 'DATASET_SPLIT', 'test on'],
  ])('refuses %s', async (_, csv, code, ...words) => {
    await expect(open(csv)).rejects.toMatchObject(refusal(code, ...words));
  });

  test('refuses labels that are not UTF-8', async () => {
    const csv = Buffer.concat([Buffer.from('file,label\na/1.jpg,'), Buffer.from([0xc3, 0xb5, 0xb9, 0xe5])]);
    await expect(open(csv)).rejects.toMatchObject(refusal('CSV_INVALID', 'UTF-8'));
  });

  test('lists ten missing files and counts the rest', async () => {
    const rows = Array.from({ length: 25 }, (_, index) => `m${index}.jpg,x`).join('\n');
    await expect(open(`file,label\n${rows}`)).rejects.toMatchObject(
      refusal('DATASET_FILES_MISSING', '25 of 25', 'and 15 more'),
    );
  });
});

describe('folders', () => {
  test('a folder per class, at any depth, through links, with any extension of a picture', async () => {
    const root = await folderOf(
      named(
        'cat/1.jpg',
        'cat/deep/er/2.JPEG',
        'dog/3.webp',
        'dog/.hidden.jpg',
        'dog/Thumbs.db',
        '.git/x.jpg',
        '__MACOSX/a.jpg',
      ),
    );
    const elsewhere = await folderOf(named('fox/4.png', 'fox/5.avif'));
    await symlink(join(elsewhere, 'fox'), join(root, 'fox'));
    await symlink(root, join(root, 'cat', 'cycle'));
    const dataset = await openDataset(root);
    expect(dataset).toMatchObject({ kind: 'folder', split: 'ratio:0.8', classes: ['cat', 'dog', 'fox'] });
    const all = names(dataset, [...dataset.train, ...dataset.test]).sort();
    expect(all).toEqual([
      'cat/1.jpg=cat',
      'cat/deep/er/2.JPEG=cat',
      'dog/3.webp=dog',
      'fox/4.png=fox',
      'fox/5.avif=fox',
    ]);
  });

  test('other files and pictures outside the class folders are left out, and said to be', async () => {
    const {
      train,
      test: tested,
      warnings,
    } = await openDataset(
      await folderOf(named('a/1.jpg', 'a/2.jpg', 'a/notes.txt', 'b/1.jpg', 'b/2.jpg', 'stray.png', 'README.md')),
    );
    expect([train.length, tested.length]).toEqual([2, 2]);
    expect(warnings).toHaveLength(2);
    expect(warnings.join()).toMatch(/1 pictures in no class folder.*stray\.png.*1 files without.*a\/notes\.txt/);
  });

  test('a link that leads nowhere is a picture that cannot be read, not one that never was', async () => {
    const root = await folderOf(named('a/1.jpg', 'a/2.jpg', 'b/1.jpg'));
    await symlink(join(root, 'gone.jpg'), join(root, 'b', '2.jpg'));
    const dataset = await openDataset(root);
    const samples = [...dataset.train, ...dataset.test].filter(({ file }) => file.endsWith('b/2.jpg'));
    expect(await checkImages(samples)).toEqual([
      { file: join(root, 'b/2.jpg'), reason: 'the file cannot be read (ENOENT)' },
    ]);
  });

  test('what the system refuses to read is named', async () => {
    const root = await folderOf(named('labels.csv/x'));
    await expect(openDataset(root)).rejects.toMatchObject(refusal('DATASET_UNREADABLE', root, 'not a regular file'));
  });

  test('folders of numbers sort as numbers', async () => {
    const { classes } = await openDataset(await folderOf(named('10/1.jpg', '9/1.jpg', '9/2.jpg', '100/1.jpg')));
    expect(classes).toEqual(['9', '10', '100']);
  });

  test('train, val and test folders are the split', async () => {
    const root = await folderOf(
      named('train/a/1.jpg', 'train/b/2.jpg', 'val/a/3.jpg', 'test/b/4.jpg', 'train/stray.jpg'),
    );
    const dataset = await openDataset(root);
    expect(dataset).toMatchObject({ split: 'folders', classes: ['a', 'b'] });
    expect(names(dataset, dataset.train)).toEqual(['train/a/1.jpg=a', 'train/b/2.jpg=b']);
    expect(names(dataset, dataset.valid)).toEqual(['val/a/3.jpg=a']);
    expect(names(dataset, dataset.test)).toEqual(['test/b/4.jpg=b']);
    expect(dataset.warnings).toEqual([expect.stringContaining('train/stray.jpg')]);
  });

  test('classes that happen to be called train and car are classes', async () => {
    const { classes } = await openDataset(await folderOf(named('train/1.jpg', 'train/2.jpg', 'car/1.jpg')));
    expect(classes).toEqual(['car', 'train']);
  });

  test('refuses an empty class, a folder without classes, what is not there, and what is no data set', async () => {
    const root = await folderOf(named('a/1.jpg', 'a/2.jpg', 'b/1.jpg', 'x.txt'));
    await mkdir(join(root, 'empty'));
    await expect(openDataset(root)).rejects.toMatchObject(refusal('DATASET_CLASSES', 'no training picture', '"empty"'));
    await expect(openDataset(join(root, 'a'))).rejects.toMatchObject(
      refusal('DATASET_LAYOUT', 'labels.csv', 'imagelabels.mat'),
    );
    await expect(openDataset(join(root, 'none'))).rejects.toMatchObject(
      refusal('DATASET_NOT_FOUND', join(root, 'none')),
    );
    await expect(openDataset(join(root, 'x.txt'))).rejects.toMatchObject(refusal('DATASET_NOT_FOUND', '.csv'));
  });

  test.each(['tutorial', 'official', 'column', 'ratio', 'ratio:1', 'ratio:0', 'ratio:x', 'ratio:1.5', ''])(
    'refuses the split "%s"',
    async (split) => {
      await expect(
        openDataset(await folderOf(named('a/1.jpg', 'a/2.jpg', 'b/1.jpg')), { split }),
      ).rejects.toMatchObject(refusal('DATASET_SPLIT', `"${split}"`, 'ratio:0.8'));
    },
  );
});

describe('ratio', () => {
  const numbered = (name: string, count: number) => Array.from({ length: count }, (_, index) => `${name}/${index}.jpg`);
  const files = [...numbered('many', 50), ...numbered('few', 2), ...numbered('one', 1), ...numbered('three', 3)];

  test('each class is divided alike, and has a picture on each side if it has two', async () => {
    const dataset = await openDataset(await folderOf(named(...files)));
    const count = (samples: readonly Sample[]) =>
      dataset.classes.map((name, label) => `${name} ${samples.filter((sample) => sample.label === label).length}`);
    expect(count(dataset.train)).toEqual(['few 1', 'many 40', 'one 1', 'three 2']);
    expect(count(dataset.test)).toEqual(['few 1', 'many 10', 'one 0', 'three 1']);
    expect(dataset.warnings).toEqual([expect.stringContaining('"one"')]);
    const all = names(dataset, [...dataset.train, ...dataset.test]).map((name) => name.split('=')[0]);
    expect(all.sort()).toEqual([...files].sort());
  });

  test('it depends on the seed, and not on the order of the list', async () => {
    const root = await folderOf(named(...files));
    const rows = files.map((file) => `${file},${file.split('/')[0]}`);
    await writeFile(join(root, 'one.csv'), `file,label\n${rows.join('\n')}`);
    await writeFile(join(root, 'two.csv'), `file,label\n${rows.reverse().join('\n')}`);
    const first = await openDataset(root, { seed: 5 });
    for (const csv of ['one.csv', 'two.csv']) {
      const { train, test: tested } = await openDataset(join(root, csv), { seed: 5 });
      expect(train).toEqual(first.train);
      expect(tested).toEqual(first.test);
    }
    expect((await openDataset(root, { seed: 6 })).test).not.toEqual(first.test);
  });

  test('the folder is only read', async () => {
    const root = await folderOf(named(...files));
    const before = await readdir(root, { recursive: true });
    await openDataset(root);
    expect(await readdir(root, { recursive: true })).toEqual(before);
  });
});

describe.skipIf(!shared)('real data sets (ORTUNE_SHARED)', () => {
  test('Flowers-102', async () => {
    const root = join(shared!, 'data/flowers102-short160');
    const dataset = await openDataset(root);
    expect([dataset.train.length, dataset.valid.length, dataset.test.length]).toEqual([6149, 1020, 1020]);
    expect(dataset.classes).toHaveLength(102);
    // image_00001.jpg is a passion flower, label 77 in the .mat file.
    const first = [...dataset.train, ...dataset.valid, ...dataset.test].find(({ file }) =>
      file.endsWith('/image_00001.jpg'),
    )!;
    expect([first.label, dataset.classes[first.label]]).toEqual([76, 'passion flower']);
    for (let label = 0; label < 102; label++) {
      expect(dataset.test.filter((sample) => sample.label === label)).toHaveLength(10);
    }
    const official = await openDataset(root, { split: 'official' });
    expect([official.train.length, official.valid.length, official.test.length]).toEqual([1020, 1020, 6149]);
  });

  test('flowers10 with its labels.csv', async () => {
    const dataset = await openDataset(join(shared!, 'data/flowers10'));
    expect([dataset.train.length, dataset.valid.length, dataset.test.length]).toEqual([290, 100, 100]);
    expect(dataset).toMatchObject({ kind: 'csv', split: 'column' });
    expect(dataset.classes).toHaveLength(10);
    expect(dataset.classes).toContain("colt's foot");
  });
});
