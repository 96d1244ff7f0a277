import { rm, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { OrtuneError } from '../errors.ts';
import { outputError } from '../output-error.ts';
import { makeFolder } from '../write-files.ts';
import { type Digests, digestsOf, fits } from './checksum.ts';
import type { EmitDownload } from './events.ts';
import { type FetchOptions, fetchFile } from './fetch-file.ts';
import { proxyRemark } from './http.ts';
import { readManifest, record } from './manifest.ts';
import { type DownloadSource, SOURCES, type SourceFile } from './sources.ts';
import { unpack } from './unpack.ts';

/** Where files go, and who is told. */
export interface DownloadOptions extends Pick<FetchOptions, 'backoffMs' | 'idleMs'> {
  /** Folder that the files go to; the source's own by default. */
  readonly to?: string;
  /** Also unpacks archives that are read as they are. */
  readonly unpack?: boolean;
  readonly onEvent?: EmitDownload;
  readonly signal?: AbortSignal;
}

/**
 * Fetches a data set or pretrained weights. What is there already, put by hand or by an earlier call, is checked and
 * kept; what is begun is continued. Checksums go into `downloads.json` beside the files.
 *
 * @param source one of `SOURCES` by name, or one of your own
 * @returns the folder
 * @throws OrtuneError `OPTION` for an unknown name; `DOWNLOAD_UNREACHABLE`, `DOWNLOAD_REFUSED`, `DOWNLOAD_CHECKSUM`, which
 *   tell what to fetch by hand; `DOWNLOAD_EXISTS` for another file in the place of one; `ARCHIVE_UNSAFE`,
 *   `ARCHIVE_INVALID`; `OUTPUT` when the disk refuses; the signal's reason when aborted
 */
export async function download(source: string | DownloadSource, options: DownloadOptions = {}): Promise<string> {
  const chosen = typeof source === 'string' ? sourceOf(source) : source;
  const { to = chosen.to, onEvent: emit = () => {}, signal } = options;
  const folder = resolve(to);
  await makeFolder(folder).catch((error: unknown) => {
    throw outputError(folder, error);
  });
  for (const file of chosen.files) {
    const contents = contentsFolder(file, folder, options.unpack);
    if (contents !== undefined && (await exists(contents))) {
      emit({ type: 'unpacked', folder: contents, entries: 0, present: true });
      // The archive itself is of no more use.
      if (file.unpack?.when === 'always') continue;
    }
    const path = join(folder, file.name);
    try {
      if (!(await acceptPresent(file, folder, emit, signal))) {
        await keep(file, folder, await fetchFile(file, path, { ...options, emit, signal }), false, emit);
      }
    } catch (error) {
      throw error instanceof OrtuneError ? await withRemedy(error, chosen, folder) : error;
    }
    if (contents !== undefined && !(await exists(contents))) {
      const entries = await unpack(path, contents, { signal });
      if (file.unpack?.when === 'always') await rm(path, { force: true });
      emit({ type: 'unpacked', folder: contents, entries, present: false });
    }
  }
  return folder;
}

/** @throws OrtuneError `OPTION` */
export function sourceOf(name: string, sources: readonly DownloadSource[] = SOURCES): DownloadSource {
  const source = sources.find((source) => source.name === name);
  if (source) return source;
  const names = sources.map(({ name }) => name).join(', ');
  throw new OrtuneError('OPTION', `expected one of ${names}, received ${name}.`);
}

function contentsFolder({ unpack: wish }: SourceFile, folder: string, asked = false): string | undefined {
  return wish && (wish.when === 'always' || asked) ? join(folder, wish.as) : undefined;
}

/** Whether the file is in its place, whole and unchanged. @throws OrtuneError `DOWNLOAD_EXISTS` when another is there */
async function acceptPresent(
  file: SourceFile,
  folder: string,
  emit: EmitDownload,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const path = join(folder, file.name);
  const found = await stat(path).catch(() => undefined);
  if (!found) return false;
  const other = (what: string): never => {
    throw new OrtuneError(
      'DOWNLOAD_EXISTS',
      `${path} ${what}. It is left as it is: move it away to fetch the file again, or choose another --to.`,
    );
  };
  if (!found.isFile()) other('is no regular file');
  const digests = await digestsOf(path, signal);
  if (!fits(digests, file.checksum)) {
    const { algorithm, digest } = file.checksum!;
    other(`is not the file that is published: expected ${algorithm} ${digest}, found ${digests[algorithm]}`);
  }
  const recorded = (await readManifest(folder))[file.name];
  if (recorded && recorded.sha256 !== digests.sha256) {
    other(`has changed since ${recorded.date}: expected sha256 ${recorded.sha256}, found ${digests.sha256}`);
  }
  await keep(file, folder, digests, true, emit);
  return true;
}

async function keep(file: SourceFile, folder: string, digests: Digests, present: boolean, emit: EmitDownload) {
  const verified = file.checksum !== undefined;
  const { bytes, md5, sha256 } = digests;
  if (!present || !(await readManifest(folder))[file.name]) {
    await record(folder, file.name, { url: file.url, bytes, md5, sha256, verified, date: new Date().toISOString() });
  }
  emit({ type: 'done', file: file.name, bytes, present, verified, sha256 });
}

/** The error, and what to do by hand where the network does not give the files. */
async function withRemedy(error: OrtuneError, source: DownloadSource, folder: string): Promise<OrtuneError> {
  if (!['DOWNLOAD_UNREACHABLE', 'DOWNLOAD_REFUSED', 'DOWNLOAD_CHECKSUM'].includes(error.code)) return error;
  const steps: string[] = [];
  for (const { url, name, checksum } of source.files) {
    const path = join(folder, name);
    if (await exists(path)) continue;
    const { algorithm, digest } = checksum ?? {};
    const digits = algorithm === 'sha256' && digest!.length < 64 ? ` begins with ${digest}` : ` ${digest}`;
    steps.push(`  ${url}\n    as ${path}${algorithm ? ` (${algorithm}${digits})` : ' (no checksum is published)'}`);
  }
  return new OrtuneError(
    error.code,
    `${error.message}${error.code === 'DOWNLOAD_UNREACHABLE' ? proxyRemark() : ''}\n` +
      `Run the same command again to go on from what has come, or fetch by hand\n${steps.join('\n')}\n` +
      'and run it then: it checks what is there, and unpacks it where needed.',
    { cause: error },
  );
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}
