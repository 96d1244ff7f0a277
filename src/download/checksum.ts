import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { Checksum } from './sources.ts';

export interface Digests {
  readonly bytes: number;
  readonly md5: string;
  readonly sha256: string;
}

/** Reads a file through once. Lower-case hex. */
export async function digestsOf(path: string, signal?: AbortSignal | undefined): Promise<Digests> {
  const md5 = createHash('md5');
  const sha256 = createHash('sha256');
  let bytes = 0;
  const options = { highWaterMark: 1 << 20, ...(signal && { signal }) };
  for await (const chunk of createReadStream(path, options) as AsyncIterable<Buffer>) {
    md5.update(chunk);
    sha256.update(chunk);
    bytes += chunk.length;
  }
  return { bytes, md5: md5.digest('hex'), sha256: sha256.digest('hex') };
}

/** Whether a file is the published one. Where no checksum is published, every file is. */
export function fits(digests: Digests, checksum: Checksum | undefined): boolean {
  return checksum === undefined || digests[checksum.algorithm].startsWith(checksum.digest);
}
