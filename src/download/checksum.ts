import { digestFile } from '../digest-file.ts';
import type { Checksum } from './sources.ts';

export interface Digests {
  readonly bytes: number;
  readonly md5: string;
  readonly sha256: string;
}

/** What a published checksum may be of. */
export const digestsOf = (path: string, signal?: AbortSignal | undefined): Promise<Digests> =>
  digestFile(path, ['md5', 'sha256'], signal);

/** Whether a file is the published one. Where no checksum is published, every file is. */
export function fits(digests: Digests, checksum: Checksum | undefined): boolean {
  return checksum === undefined || digests[checksum.algorithm].startsWith(checksum.digest);
}
