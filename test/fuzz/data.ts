/** Readers of data sets, archives and recipes. */
import { existsSync, lstatSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import { unpackPictures } from '../../src/data/archive.ts';
import { readCsv } from '../../src/data/csv.ts';
import { readMat } from '../../src/data/mat.ts';
import { unpack } from '../../src/download/unpack.ts';
import type { Random } from '../../src/random.ts';
import { readRecipe } from '../../src/recipes/read.ts';
import { element, header, matFile } from '../data/mat-bytes.ts';
import { type TarEntry, tgz } from '../data/tgz.ts';
import { zipOf } from '../download/archives.ts';
import { damageTgz, damageZip } from './archives.ts';
import { chance, damage, damageText, numberBytes, oddNumber, pick } from './mutate.ts';
import { fileOf, type Target } from './target.ts';

const variables = [
  { name: 'labels', values: [3, 1, 2, 77], storage: 2, arrayClass: 9 },
  { name: 'm', values: [1, 2, 3, 4, 5, 6], dims: [2, 3] },
  { name: 'z', values: [1, 2], flags: 0x0800 },
];
const mat = Buffer.from(matFile(variables));

/** Tags, flags and sizes of a MAT file, all at multiples of four; the variables compressed or as they are. */
function damageMat(random: Random): Buffer {
  const damaged = Buffer.from(mat);
  for (let changes = random.integer(4); changes >= 0; changes--) {
    const at = header().length + 4 * random.integer((mat.length - header().length) / 4);
    const number = chance(random, 0.5) ? BigInt(random.integer(20)) : oddNumber(random);
    numberBytes(number, pick(random, [1, 2, 4])).copy(damaged, at);
  }
  if (chance(random, 0.5)) return damaged;
  const packed = deflateSync(damaged.subarray(header().length));
  return Buffer.concat([header(), element(15, chance(random, 0.1) ? damage(random, packed) : packed)]);
}

const csv = 'file,label,split\na.jpg,rose,train\n"d/b, c.jpg",tulip,valid\nc.jpg,"ro""se",test\n';
const CSV_WORDS = [
  ...[',', '"', '\n', '\r', '\r\n', '\ufeff', '\0', '\\', ';', '\t', 'file', 'label', 'split', 'train', '../x', '/x'],
  ...[
    '__proto__',
    'constructor',
    '1',
    '01',
    '1.0',
    '\u00e9',
    'e\u0301',
    '\ud800',
    '\ufffd',
    '.',
    '"\n"',
    'a'.repeat(999),
  ],
];

const recipe = `# A recipe
name: mine
network: {depth: 50, width: 0.5}
split: ratio:0.8
pretrain:
  passes: 2
  schedule: &s {kind: one-cycle, pctStart: 0.3}
  augment: true
finetune:
  schedule: *s
  batchNorm: {'bn5*': live, '*': frozen}
  train: ['fc_*', "res5*"]
  augment:
    crop: {scale: [0.5, 1]}
    mixup: 0.2
  ema:
    decay: 0.99
`;
const YAML_WORDS = [
  ...[
    '{',
    '}',
    '[',
    ']',
    ':',
    ': ',
    '- ',
    '? ',
    '&s ',
    '*s',
    '*s ',
    '!!str ',
    '!x ',
    '<<: *s',
    '|',
    '>',
    '---\n',
    '...\n',
  ],
  ...[
    '\n',
    '  ',
    '\t',
    '#',
    '"',
    "'",
    '%YAML 1.1\n',
    '~',
    'null',
    '.nan',
    '.inf',
    '-.inf',
    '1e999',
    '0x7f',
    '2001-01-01',
  ],
  ...[
    '__proto__',
    'constructor',
    'toString',
    'passes',
    'kind',
    'true',
    '-1',
    '0',
    '1',
    '\0',
    '\ud800',
    '[[[[',
    '{{{{',
    '\u2028',
  ],
];

const entries: readonly TarEntry[] = [
  { name: './', type: '5' },
  { name: 'jpg/', type: '5' },
  { name: 'jpg/image_00001.jpg', content: 'one' },
  { name: 'jpg/image_00002.jpg', content: 'x'.repeat(700) },
  { name: 'README', content: 'text' },
];
const zipEntries = entries.slice(1).map(({ name, content = '' }) => ({ name, data: Buffer.from(content) }));
const EMPTY = new Uint8Array();
const LIMITS = { entries: 300, bytes: 2 ** 20 };

/** Unpacks, and looks at what came of it: only files and folders, in the one folder, or nothing at all. */
async function unpackInto(bytes: Uint8Array, folder: string): Promise<void> {
  const place = join(folder, 'place');
  rmSync(place, { recursive: true, force: true });
  mkdirSync(place);
  const target = join(place, 'unpacked');
  const unpacking = unpack(fileOf(folder, 'archive', bytes), target, { limits: LIMITS });
  await unpacking.catch(() => {});
  const strange = [...readdirSync(place), ...readdirSync(folder)].filter(
    (name) => !['unpacked', 'place', 'archive'].includes(name),
  );
  if (strange.length > 0) throw new Error(`it wrote ${strange.join(', ')} beside the folder`);
  if (!existsSync(target)) {
    await unpacking;
    throw new Error('it says that it unpacked, and made nothing');
  }
  await unpacking.catch((cause) => {
    throw new Error('it failed and left something', { cause });
  });
  const total = sizeOf(target);
  if (total > LIMITS.bytes) throw new Error(`it unpacked ${total} bytes`);
}

function sizeOf(path: string): number {
  const found = lstatSync(path);
  if (found.isFile()) return found.size;
  if (!found.isDirectory()) throw new Error(`it made ${path}, neither file nor folder`);
  return readdirSync(path).reduce((sum, name) => sum + sizeOf(join(path, name)), 0);
}

async function keepPictures(bytes: Uint8Array, folder: string): Promise<void> {
  const cacheFolder = join(folder, 'cache');
  rmSync(cacheFolder, { recursive: true, force: true });
  const wants = (name: string) => /^jpg\/image_\d{5}\.jpg$/.test(name);
  const { ranges } = await unpackPictures(fileOf(folder, 'archive.tgz', bytes), { wants, cacheFolder });
  for (const { path, offset, length } of ranges.values()) {
    if (!(offset >= 0 && length >= 0 && offset + length <= lstatSync(path).size)) throw new Error('a range leads out');
  }
}

export const dataTargets: readonly Target[] = [
  { name: 'mat', share: 20, sample: mat, damage: damageMat, read: (bytes) => readMat(bytes, 'labels.mat') },
  {
    name: 'csv',
    share: 2,
    sample: Buffer.from(csv),
    damage: (random) => Buffer.from(damageText(random, csv, CSV_WORDS)),
    read: async (bytes, folder) => {
      mkdirSync(join(folder, 'd'), { recursive: true });
      for (const name of ['a.jpg', 'd/b, c.jpg', 'c.jpg']) fileOf(folder, name, EMPTY);
      await readCsv(fileOf(folder, 'list.csv', bytes));
    },
  },
  {
    name: 'recipe',
    share: 2,
    sample: Buffer.from(recipe),
    damage: (random) => Buffer.from(damageText(random, recipe, YAML_WORDS)),
    read: (bytes) => readRecipe(Buffer.from(bytes).toString(), 'mine.yaml', 'mine'),
  },
  {
    name: 'unpack-tgz',
    share: 1,
    sample: tgz(entries),
    damage: (random) => damageTgz(random, entries),
    read: unpackInto,
  },
  {
    name: 'unpack-zip',
    share: 1,
    sample: zipOf(zipEntries),
    damage: (random) => damageZip(random, zipEntries),
    read: unpackInto,
  },
  {
    name: 'pictures-tgz',
    share: 1,
    sample: tgz(entries),
    damage: (random) => damageTgz(random, entries),
    read: keepPictures,
  },
];
