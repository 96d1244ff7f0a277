import { constants } from 'node:fs';
import { type Readable, Transform } from 'node:stream';
import { crc32 } from 'node:zlib';
import { getFileNameLowLevel, openPromise } from 'yauzl';
import type { ArchiveGuard } from './archive-guard.ts';
import type { ArchiveEntry } from './unpack.ts';

/** File types of Unix, in the upper half of an entry's external attributes, that are neither file nor folder. */
const KINDS: ReadonlyMap<number, string> = new Map([
  [constants.S_IFLNK, 'a link'],
  [constants.S_IFBLK, 'a device'],
  [constants.S_IFCHR, 'a device'],
  [constants.S_IFIFO, 'a pipe'],
  [constants.S_IFSOCK, 'a socket'],
]);

/** The entries of a zip archive, by its central directory. Reading an entry verifies its length and CRC-32. */
export async function* readZip(archive: string, guard: ArchiveGuard): AsyncGenerator<ArchiveEntry> {
  // Names are left as they are for the guard to judge; yauzl would call the archive damaged.
  const zip = await openPromise(archive, { decodeStrings: false, autoClose: false });
  try {
    for await (const entry of zip.eachEntry()) {
      const { generalPurposeBitFlag, fileNameRaw, extraFields } = entry;
      const name = getFileNameLowLevel(generalPurposeBitFlag, fileNameRaw, extraFields, true);
      const other = KINDS.get((entry.externalFileAttributes >>> 16) & constants.S_IFMT);
      if (other !== undefined) guard.refuse(`${other}, ${JSON.stringify(name)}`);
      if (!entry.canDecodeFileData()) throw new Error(`${name} is encrypted, or packed by another method than deflate`);
      const size = entry.uncompressedSize;
      yield name.endsWith('/')
        ? { name, kind: 'folder', size: 0 }
        : {
            name,
            kind: 'file',
            size,
            contents: async () => verified(await zip.openReadStreamPromise(entry), name, entry.crc32),
          };
    }
  } finally {
    zip.close();
  }
}

function verified(contents: Readable, name: string, expected: number): Readable {
  let sum = 0;
  const check = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      sum = crc32(chunk, sum);
      done(null, chunk);
    },
    flush(done) {
      done(sum === expected ? null : new Error(`${name} does not match its checksum`));
    },
  });
  contents.on('error', (error) => check.destroy(error));
  check.on('close', () => contents.destroy());
  return contents.pipe(check);
}
