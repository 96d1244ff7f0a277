import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';

/**
 * Reads a file through once, a piece at a time.
 *
 * @param algorithms by Node's names
 * @returns its size, and a digest of each algorithm in lower-case hex
 */
export async function digestFile<Algorithm extends 'md5' | 'sha256'>(
  path: string,
  algorithms: readonly Algorithm[],
  signal?: AbortSignal | undefined,
): Promise<{ readonly bytes: number } & Readonly<Record<Algorithm, string>>> {
  const hashes = algorithms.map((algorithm) => [algorithm, createHash(algorithm)] as const);
  let bytes = 0;
  const options = { highWaterMark: 1 << 20, ...(signal && { signal }) };
  for await (const chunk of createReadStream(path, options) as AsyncIterable<Buffer>) {
    for (const [, hash] of hashes) hash.update(chunk);
    bytes += chunk.length;
  }
  const digests = hashes.map(([algorithm, hash]) => [algorithm, hash.digest('hex')] as const);
  return { bytes, ...(Object.fromEntries(digests) as Record<Algorithm, string>) };
}
