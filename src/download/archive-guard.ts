/** What an archive may put into a folder. Whoever made the archive chooses names, sizes and kinds; nothing of it is trusted. */
import { OrtuneError } from '../errors.ts';

export interface ArchiveLimits {
  readonly entries: number;
  /** Bytes of all files together, unpacked. */
  readonly bytes: number;
}

/** Flowers-102 has 8190 entries and 0.35 GB, ResNet50's weights 267 and 0.1 GB. */
export const ARCHIVE_LIMITS: ArchiveLimits = { entries: 50_000, bytes: 4 * 1024 ** 3 };

const MOST_SEGMENTS = 16;
/** What file systems take for one segment, in bytes. */
const LONGEST_SEGMENT = 255;

/** Admits the entries of one archive one by one. */
export class ArchiveGuard {
  readonly #archive: string;
  readonly limits: ArchiveLimits;
  readonly #files = new Set<string>();
  readonly #folders = new Set<string>();
  #entries = 0;
  #declared = 0;
  #bytes = 0;

  constructor(archive: string, limits: ArchiveLimits) {
    this.#archive = archive;
    this.limits = limits;
  }

  get entries(): number {
    return this.#files.size;
  }

  /**
   * @param size as the archive declares it; what really comes is counted by {@link count}
   * @returns the segments of the entry's path, none for the archive's own top
   * @throws OrtuneError `ARCHIVE_UNSAFE`
   */
  admit(name: string, kind: 'file' | 'folder', size: number): string[] {
    if (++this.#entries > this.limits.entries) this.refuse(`more than ${this.limits.entries} entries`);
    const segments = this.#segments(name, kind);
    // Two names that differ in case or composition only are one file on some systems.
    const key = (count: number) => segments.slice(0, count).join('/').normalize('NFC').toLowerCase();
    for (let count = 1; count < segments.length; count++) {
      if (this.#files.has(key(count))) this.refuse(`${shown(name)}, which lies within a file`);
      this.#folders.add(key(count));
    }
    const own = key(segments.length);
    if (this.#files.has(own)) this.refuse(`two entries ${shown(name)}`);
    if (kind === 'folder') {
      this.#folders.add(own);
      return segments;
    }
    if (this.#folders.has(own)) this.refuse(`${shown(name)} as a file and as a folder`);
    this.#files.add(own);
    this.#declared += size;
    if (!(size >= 0) || this.#declared > this.limits.bytes) this.refuse(`more than ${this.limits.bytes} bytes`);
    return segments;
  }

  /** Counts unpacked bytes as they come. @throws OrtuneError `ARCHIVE_UNSAFE` */
  count(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes > this.limits.bytes) this.refuse(`more than ${this.limits.bytes} bytes`);
  }

  refuse(found: string): never {
    throw new OrtuneError(
      'ARCHIVE_UNSAFE',
      `${this.#archive}: expected files and folders within one folder, found ${found}. Nothing of it was unpacked.`,
    );
  }

  #segments(name: string, kind: 'file' | 'folder'): string[] {
    if (name.includes('\\') || hasControl(name)) this.refuse(`the name ${shown(name)}`);
    if (name.startsWith('/') || /^[a-z]:/i.test(name)) this.refuse(`the absolute path ${shown(name)}`);
    const plain = kind === 'folder' ? name.replace(/\/$/, '') : name;
    // tar writes ./a for a, and ./ for the top.
    const segments = plain.split('/').filter((segment) => segment !== '.');
    if (segments.includes('..')) this.refuse(`the path ${shown(name)}, which leads out of the folder`);
    const fit = (segment: string) => segment !== '' && Buffer.byteLength(segment) <= LONGEST_SEGMENT;
    const named = segments.length > 0 || kind === 'folder';
    if (!named || segments.length > MOST_SEGMENTS || !segments.every(fit)) this.refuse(`the name ${shown(name)}`);
    return segments;
  }
}

const hasControl = (name: string) => [...name].some((character) => character < ' ' || character === '\x7f');

/** Quoted, with control characters escaped: a name must not steer the terminal that it is shown on. */
function shown(name: string): string {
  return JSON.stringify(name.length > 100 ? `${name.slice(0, 100)}...` : name);
}
