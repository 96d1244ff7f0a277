import { createReadStream } from 'node:fs';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { extract } from 'tar-stream';
import type { ArchiveGuard } from './archive-guard.ts';
import type { ArchiveEntry } from './unpack.ts';

const BLOCK = 512;
/** An entry has a header, often a second one with attributes of one block, and padding. */
const BLOCKS_BESIDE_CONTENTS = 4;

/** The entries of a gzipped tar archive, in its order. */
export async function* readTgz(archive: string, guard: ArchiveGuard): AsyncGenerator<ArchiveEntry> {
  const entries = extract();
  // Beyond the guard, which sees files only: gzip can make a terabyte of empty blocks out of a gigabyte.
  const { limits } = guard;
  const most = limits.bytes + limits.entries * BLOCKS_BESIDE_CONTENTS * BLOCK;
  let read = 0;
  const bound = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      read += chunk.length;
      if (read > most) done(new Error(`more than ${most} bytes once unzipped`));
      else done(null, chunk);
    },
  });
  const source = pipeline(createReadStream(archive), createGunzip(), bound, entries);
  // Its error also ends the loop below; here it only must not go unheard.
  source.catch(() => {});
  try {
    for await (const entry of entries) {
      const { name, type, size = 0 } = entry.header;
      // The library passes on a size that it cannot read, and then waits for bytes that never come.
      if (!Number.isSafeInteger(size)) throw new Error(`${JSON.stringify(name)} has no readable size`);
      if (type === 'directory') {
        entry.resume();
        yield { name, kind: 'folder', size: 0 };
      } else if (type === 'file' || type === 'contiguous-file') {
        yield { name, kind: 'file', size, contents: async () => Readable.from(entry, { objectMode: false }) };
      } else {
        guard.refuse(
          `${type === 'symlink' || type === 'link' ? 'a link' : `a ${type ?? 'nameless kind'}`}, ${JSON.stringify(name)}`,
        );
      }
    }
    await source;
  } finally {
    entries.destroy();
  }
}
