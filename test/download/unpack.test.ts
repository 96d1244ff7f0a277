import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { unpack } from '../../src/download/unpack.ts';
import { tarOf, tgzOf, zipOf } from './archives.ts';

const noise = randomBytes(200_000);
const text = Buffer.from('hello');

let folder: string;
let archive: string;
let out: string;
beforeEach(async () => {
  // One level down: what an archive wrote beside the folder would be seen.
  folder = await mkdtemp(join(tmpdir(), 'ortune-unpack-'));
  await mkdir(join(folder, 'inner'));
  archive = join(folder, 'inner', 'archive');
  out = join(folder, 'inner', 'out');
});
afterEach(() => rm(folder, { recursive: true }));

const everything = async () => (await readdir(folder, { recursive: true })).sort();
const only = ['inner', 'inner/archive'];

describe('a sound archive', () => {
  test.each([
    [
      'zip',
      async () =>
        zipOf([
          { name: 'top/' },
          { name: 'top/a.bin', data: noise },
          { name: 'top/deep/er/b', data: text },
          { name: 'top/empty' },
        ]),
    ],
    [
      'tgz',
      () =>
        tgzOf([
          { name: './top/', type: 'directory' },
          { name: './top/a.bin', data: noise },
          { name: 'top/deep/er/b', data: text },
          { name: 'top/empty', data: Buffer.alloc(0) },
        ]),
    ],
  ])('%s is unpacked without its only folder', async (_, make) => {
    await writeFile(archive, await make());
    // Left by a run that was killed.
    await mkdir(join(folder, 'inner', '.out.unpacking', 'old'), { recursive: true });
    expect(await unpack(archive, out)).toBe(3);
    expect((await readdir(out, { recursive: true })).sort()).toEqual([
      'a.bin',
      'deep',
      'deep/er',
      'deep/er/b',
      'empty',
    ]);
    expect((await readFile(join(out, 'a.bin'))).equals(noise)).toBe(true);
    expect(await readFile(join(out, 'deep/er/b'), 'utf8')).toBe('hello');
    expect(await readdir(join(folder, 'inner'))).toEqual(['archive', 'out']);
  });

  test('of several files at its top is unpacked as it is', async () => {
    await writeFile(
      archive,
      zipOf([
        { name: 'one', data: text },
        { name: 'two/three', data: text },
      ]),
    );
    await unpack(archive, out);
    expect((await readdir(out, { recursive: true })).sort()).toEqual(['one', 'two', 'two/three']);
  });

  test('with a long name, in tar a header of its own, keeps it', async () => {
    const name = `${'d'.repeat(120)}/${'f'.repeat(120)}`;
    await writeFile(
      archive,
      await tgzOf([
        { name, data: text },
        { name: 'other', data: text },
      ]),
    );
    await unpack(archive, out);
    expect(await readFile(join(out, name), 'utf8')).toBe('hello');
  });

  test('gets the modes of the system, not its own', async () => {
    await writeFile(
      archive,
      await tgzOf([
        { name: 'a', mode: 0o4777, data: text },
        { name: 'b', data: text },
      ]),
    );
    await unpack(archive, out);
    expect((await stat(join(out, 'a'))).mode & 0o7111).toBe(0);
  });
});

/** Names that no archive may hold, and what the error says of them. */
const NAMES: [string, string, RegExp][] = [
  ['a path upwards', '../evil', /leads out of the folder/],
  ['a path upwards from within', 'a/../../evil', /leads out of the folder/],
  ['an absolute path', '/tmp/evil', /absolute path/],
  ['a drive', 'C:/evil', /absolute path/],
  ['a backslash', '..\\evil', /the name/],
  ['an empty segment', 'a//b', /the name/],
  ['an escape sequence', 'a\u001b[31mb', /the name "a\\u001b/],
  ['a segment of 256 bytes', 'x'.repeat(256), /the name/],
  ['17 levels', Array(17).fill('d').join('/'), /the name/],
];
const good = { name: 'good', data: text };

describe('an evil archive leaves nothing behind', () => {
  const refuses = async (bytes: Buffer, code: string, message: RegExp, limits?: { entries: number; bytes: number }) => {
    await writeFile(archive, bytes);
    const error = unpack(archive, out, limits ? { limits } : {});
    await expect(error).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
    await expect(error).rejects.toThrow(archive);
    expect(await everything()).toEqual(only);
  };

  test.each(NAMES)('zip: %s', (_, name, message) =>
    refuses(zipOf([good, { name, data: text }]), 'ARCHIVE_UNSAFE', message),
  );
  test.each(NAMES)('tgz: %s', async (_, name, message) =>
    refuses(await tgzOf([good, { name, data: text }]), 'ARCHIVE_UNSAFE', message),
  );

  test.each([
    ['a link', 0o120_777],
    ['a device', 0o060_644],
    ['a device', 0o020_644],
    ['a pipe', 0o010_644],
    ['a socket', 0o140_644],
  ])('zip: %s (%o)', (kind, mode) =>
    refuses(
      zipOf([good, { name: 'x', mode, data: Buffer.from('/etc/passwd') }]),
      'ARCHIVE_UNSAFE',
      new RegExp(`${kind}, "x"`),
    ),
  );
  test.each([
    ['symlink', /a link, "x"/],
    ['link', /a link, "x"/],
    ['character-device', /a character-device, "x"/],
    ['block-device', /a block-device, "x"/],
    ['fifo', /a fifo, "x"/],
  ] as const)('tgz: a %s', async (type, message) =>
    refuses(await tgzOf([good, { name: 'x', type, linkname: '/etc/passwd' }]), 'ARCHIVE_UNSAFE', message),
  );

  test.each([
    ['the same name', ['a', 'a'], /two entries "a"/],
    ['names of one file on other systems', ['\u00c5.bin', 'A\u030a.BIN'], /two entries/],
    ['a file and a folder', ['a', 'a/b'], /lies within a file/],
    ['a folder and a file', ['a/b', 'a'], /as a file and as a folder/],
  ])('%s', async (_, names, message) => {
    const entries = names.map((name) => ({ name, data: text }));
    await refuses(zipOf(entries), 'ARCHIVE_UNSAFE', message);
    await refuses(await tgzOf(entries), 'ARCHIVE_UNSAFE', message);
  });

  test('too many entries', async () => {
    const entries = Array.from({ length: 11 }, (_, index) => ({ name: `f${index}`, data: text }));
    const limits = { entries: 10, bytes: 1e6 };
    await refuses(zipOf(entries), 'ARCHIVE_UNSAFE', /more than 10 entries/, limits);
    await refuses(await tgzOf(entries), 'ARCHIVE_UNSAFE', /more than 10 entries/, limits);
  });

  test('too many bytes', async () => {
    const entries = Array.from({ length: 3 }, (_, index) => ({ name: `f${index}`, data: Buffer.alloc(40_000) }));
    const limits = { entries: 10, bytes: 100_000 };
    await refuses(zipOf(entries), 'ARCHIVE_UNSAFE', /more than 100000 bytes/, limits);
    await refuses(await tgzOf(entries), 'ARCHIVE_UNSAFE', /more than 100000 bytes/, limits);
  });

  test('zip: a bomb that declares little', async () => {
    const bomb = zipOf([good, { name: 'bomb', data: Buffer.alloc(10_000_000), size: 10 }]);
    await refuses(bomb, 'ARCHIVE_INVALID', /too many bytes/);
  });

  test('tgz: a bomb of empty blocks, which are no entries', async () => {
    const bomb = gzipSync(Buffer.concat([await tarOf([good]), Buffer.alloc(20_000_000)]));
    await refuses(bomb, 'ARCHIVE_INVALID', /bytes once unzipped/, { entries: 10, bytes: 1_000_000 });
  });

  test.each([
    ['zip: a wrong checksum', () => zipOf([{ ...good, crc: 1 }]), /does not match its checksum/],
    ['zip: encrypted', () => zipOf([{ ...good, flags: 1 }]), /encrypted/],
    ['zip: cut short', () => zipOf([good, { name: 'n', data: noise }]).subarray(0, 100_000), /cut short or damaged/],
    ['zip: no files', () => zipOf([{ name: 'a/' }]), /no files/],
    ['tgz: cut short', async () => (await tgzOf([{ name: 'n', data: noise }])).subarray(0, 100_000), /unexpected end/i],
    ['tgz: no tar', () => gzipSync(noise), /cut short or damaged/],
    [
      'tgz: tar cut short',
      async () => gzipSync((await tarOf([{ name: 'n', data: noise }])).subarray(0, 100_000)),
      /Unexpected end/,
    ],
    ['something else', () => Buffer.from('<html>'), /neither zip nor gzip/],
    ['nothing', () => Buffer.alloc(0), /neither zip nor gzip/],
  ])('%s', async (_, make, message) => refuses(await make(), 'ARCHIVE_INVALID', message));
});

test('the signal stops it, and nothing is left', async () => {
  await writeFile(
    archive,
    zipOf([
      { name: 'a', data: noise },
      { name: 'b', data: noise },
    ]),
  );
  const stop = new AbortController();
  const reason = new Error('enough');
  stop.abort(reason);
  await expect(unpack(archive, out, { signal: stop.signal })).rejects.toBe(reason);
  expect(await everything()).toEqual(only);
});
