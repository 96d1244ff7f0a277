/** Zip and tar archives, changed entry by entry and field by field. */
import { gzipSync } from 'node:zlib';
import type { Random } from '../../src/random.ts';
import { type TarEntry, tarEntry, writeChecksum } from '../data/tgz.ts';
import { type ZipEntry, zipOf } from '../download/archives.ts';
import { chance, damage, damageList, numberBytes, oddNumber, pick, randomBytes } from './mutate.ts';

/** Names that lead elsewhere, or that two systems read in two ways. */
const NAMES = [
  '../escaped',
  'a/../../escaped',
  '/tmp/ortune-escaped',
  'C:\\escaped',
  '..\\escaped',
  '.',
  './',
  '..',
  '',
  '/',
  'a//b',
  'a/./b',
  'jpg',
  'jpg/',
  'JPG/IMAGE_00001.JPG',
  'jpg/image_00001.jpg/',
  'jpg/image_00001.jpg/x',
  'a\0b',
  'a\nb',
  '\u001b[2J',
  'caf\u00e9',
  'cafe\u0301',
  '__proto__',
  'x'.repeat(300),
  'd/'.repeat(40),
];
const CONTENTS = [0, 1, 511, 512, 513, 5000].map((length) => Buffer.alloc(length, 'p'));

/** Fields of a tar header (POSIX.1-1988, ustar), each with where it begins and how long it is. */
const TAR_FIELDS = [
  [0, 100],
  [100, 8],
  [108, 8],
  [116, 8],
  [124, 12],
  [136, 12],
  [156, 1],
  [157, 100],
  [257, 8],
  [345, 155],
] as const;
const TAR_TYPES = [...'01234567xgLKNSVDAZ\0\xff'];

function tarChange(random: Random, entry: TarEntry): TarEntry {
  switch (random.integer(6)) {
    case 0:
      return { ...entry, name: pick(random, NAMES) };
    case 1:
      return { ...entry, type: pick(random, TAR_TYPES), linkname: pick(random, NAMES) };
    case 2:
      return { ...entry, size: Number(BigInt.asUintN(33, oddNumber(random))) };
    case 3:
      return { ...entry, content: pick(random, CONTENTS) };
    default:
      return { name: 'pax', type: pick(random, ['x', 'g', 'L', 'K']), content: pax(random) };
  }
}

function pax(random: Random): string {
  const key = pick(random, ['path', 'linkpath', 'size', '__proto__', 'mtime', '']);
  const value = chance(random, 0.5) ? pick(random, NAMES) : String(oddNumber(random));
  const line = ` ${key}=${value}\n`;
  const length = chance(random, 0.7) ? Buffer.byteLength(line) + 2 : oddNumber(random);
  return `${length}${line}`.repeat(1 + random.integer(3));
}

/** Another value in a field of one header; its checksum agrees again, mostly. */
function damageHeader(random: Random, header: Buffer): void {
  const [start, length] = pick(random, TAR_FIELDS);
  const octal = BigInt.asUintN(33, oddNumber(random))
    .toString(8)
    .padStart(length - 1, '0');
  const values = [
    Buffer.from(octal.slice(0, length)),
    // Base 256, as GNU writes large numbers; the first byte tells.
    Buffer.concat([Buffer.of(pick(random, [0x80, 0x81, 0xff])), numberBytes(oddNumber(random), 8, false)]),
    randomBytes(random, length),
    Buffer.from('-1'),
  ];
  pick(random, values).copy(header, start, 0, length);
  if (!chance(random, 0.1)) writeChecksum(header);
}

/** A tar archive with one to four changes to its entries and headers, packed. */
export function damageTgz(random: Random, entries: readonly TarEntry[]): Buffer {
  let list = [...entries];
  const change = (entry: TarEntry) => tarChange(random, entry);
  for (let changes = random.integer(4); changes > 0; changes--) {
    list = damageList(random, list, { make: () => change(pick(random, entries)), change });
  }
  const blocks = list.map(tarEntry);
  if (chance(random, 0.5) && blocks.length > 0) damageHeader(random, pick(random, blocks).subarray(0, 512));
  let archive: Buffer = Buffer.concat([...blocks, Buffer.alloc(1024)]);
  if (chance(random, 0.1)) archive = damage(random, archive);
  const packed = gzipSync(archive, { level: 1 });
  return chance(random, 0.2) ? damage(random, packed) : packed;
}

/** Fields of zip's headers (PKWARE's APPNOTE.TXT, 4.3) after each signature, with their lengths. */
const fields = (width: number, ...places: number[]) => places.map((at) => [at, width] as const);
const ZIP_FIELDS: readonly (readonly [signature: string, fields: readonly (readonly [at: number, width: number])[]])[] =
  [
    ['PK\x03\x04', [...fields(2, 6, 8, 26, 28), ...fields(4, 14, 18, 22)]],
    ['PK\x01\x02', [...fields(2, 4, 8, 10, 28, 30, 32, 34), ...fields(4, 16, 20, 24, 38, 42)]],
    ['PK\x05\x06', [...fields(2, 4, 6, 8, 10, 20), ...fields(4, 12, 16)]],
  ];

function damageZipField(random: Random, archive: Buffer): void {
  const [signature, places] = pick(random, ZIP_FIELDS);
  const headers: number[] = [];
  for (let at = archive.indexOf(signature, 0, 'latin1'); at >= 0; at = archive.indexOf(signature, at + 1, 'latin1')) {
    headers.push(at);
  }
  if (headers.length === 0) return;
  const [offset, width] = pick(random, places);
  // Often just beside what it was: lengths and offsets that nearly agree.
  const at = pick(random, headers) + offset;
  const near = chance(random, 0.3) && at + width <= archive.length;
  const value = near ? BigInt(archive.readUIntLE(at, width) + random.integer(5) - 2) : oddNumber(random);
  numberBytes(value, width).copy(archive, at);
}

function zipChange(random: Random, entry: ZipEntry): ZipEntry {
  switch (random.integer(5)) {
    case 0:
      return { ...entry, name: pick(random, NAMES) };
    case 1:
      return { ...entry, mode: random.integer(16) * 0o10_000 + 0o644 };
    case 2:
      return { ...entry, size: Number(BigInt.asUintN(32, oddNumber(random))) };
    case 3:
      return { ...entry, flags: random.integer(2 ** 16) };
    default:
      return { ...entry, data: pick(random, CONTENTS) };
  }
}

/** A zip archive with changes to its entries and headers. */
export function damageZip(random: Random, entries: readonly ZipEntry[]): Buffer {
  let list = [...entries];
  const change = (entry: ZipEntry) => zipChange(random, entry);
  for (let changes = random.integer(3); changes > 0; changes--) {
    list = damageList(random, list, { make: () => change(pick(random, entries)), change });
  }
  const archive = zipOf(list);
  for (let changes = random.integer(3); changes > 0; changes--) damageZipField(random, archive);
  return chance(random, 0.1) ? damage(random, archive) : archive;
}
