import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { OrtuneError } from '../errors.ts';

/** A size as flags and recipes say it. */
export const MEMORY_LIMIT = /^(?:none|(\d+(?:\.\d+)?) ?([kMGT])(i?)B)$/;
/** What is expected where there is another. */
export const MEMORY_LIMIT_EXPECTED = 'a size such as 4GiB or 3000MB, or none';

const POWERS = ['k', 'M', 'G', 'T'];

/**
 * @param limit such as `'4GiB'` or `'3000MB'`; `'none'` for no limit
 * @returns bytes
 * @throws OrtuneError `OPTION`
 */
export function parseMemoryLimit(limit: string): number {
  const [, number, unit = '', binary] = MEMORY_LIMIT.exec(limit) ?? [];
  if (limit === 'none') return Number.POSITIVE_INFINITY;
  const bytes = Math.floor(Number(number) * (binary ? 1024 : 1000) ** (POWERS.indexOf(unit) + 1));
  if (bytes > 0) return bytes;
  throw new OrtuneError('OPTION', `memory-limit: expected ${MEMORY_LIMIT_EXPECTED}, received ${limit}`);
}

export function formatBytes(bytes: number): string {
  const mebibytes = bytes / 2 ** 20;
  return mebibytes < 1024 ? `${Math.round(mebibytes)} MiB` : `${(mebibytes / 1024).toFixed(2)} GiB`;
}

/** How much memory this process may come to have, and who says so. */
export interface MemoryBound {
  readonly bytes: number;
  /** In words. */
  readonly source: string;
}

/** Where control groups of the two versions are mounted. */
const MOUNTS = { v2: ['sys/fs/cgroup', 'sys/fs/cgroup/unified'], v1: ['sys/fs/cgroup/memory'] } as const;

/** Files of a control group, and the lines of its `memory.stat` that count pages of files, which make room when it is needed. */
const FILES = {
  v2: { limit: 'memory.max', usage: 'memory.current', cache: ['active_file', 'inactive_file'] },
  v1: {
    limit: 'memory.limit_in_bytes',
    usage: 'memory.usage_in_bytes',
    cache: ['total_active_file', 'total_inactive_file'],
  },
} as const;

type Version = keyof typeof FILES;

/** Version 1 says "no limit" by the greatest number of whole pages. */
const NO_LIMIT = 2 ** 62;

/**
 * What the process's control groups leave it: the least of the group's own limit and those of the groups around it, each
 * less what other processes of the group have, apart from pages of files.
 *
 * @param root of the file system
 * @returns `undefined` where no group has a limit, and on systems without control groups
 */
export async function containerBound(root = '/'): Promise<MemoryBound | undefined> {
  const own = await ownBytes(root);
  const bounds: MemoryBound[] = [];
  for (const { version, path } of parseGroups(await textOf(join(root, 'proc/self/cgroup')))) {
    for (const mount of MOUNTS[version]) {
      for (const level of levelsOf(path)) {
        const bound = await boundOf(version, join('/', mount, level), { root, own });
        if (bound) bounds.push(bound);
      }
    }
  }
  return bounds.reduce<MemoryBound | undefined>(
    (least, one) => (least && least.bytes <= one.bytes ? least : one),
    undefined,
  );
}

/** What the system has left for the process, what it has already among it. `undefined` where there is no `/proc/meminfo`. */
export async function systemBound(root = '/'): Promise<MemoryBound | undefined> {
  const available = kilobytes(await textOf(join(root, 'proc/meminfo')), 'MemAvailable');
  if (available === undefined) return undefined;
  return { bytes: available + (await ownBytes(root)), source: 'what the system has available (MemAvailable)' };
}

function parseGroups(text: string): { version: Version; path: string }[] {
  return text.split('\n').flatMap<{ version: Version; path: string }>((line) => {
    const [, number, controllers = '', path = ''] = /^(\d+):([^:]*):(.*)$/.exec(line) ?? [];
    if (number === '0' && controllers === '') return [{ version: 'v2', path }];
    return controllers.split(',').includes('memory') ? [{ version: 'v1', path }] : [];
  });
}

/** A group's path and those above it, up to the root. A container may see paths that are not there, of outside of it. */
function levelsOf(path: string): string[] {
  const names = path.split('/').filter((name) => name !== '' && name !== '..');
  return [...names.map((_, index) => names.slice(0, names.length - index).join('/')), ''];
}

async function boundOf(
  version: Version,
  folder: string,
  { root, own }: { root: string; own: number },
): Promise<MemoryBound | undefined> {
  const files = FILES[version];
  const read = (file: string) => textOf(join(root, folder, file));
  const limit = wholeNumber(await read(files.limit));
  if (limit === undefined || limit >= NO_LIMIT) return undefined;
  const statistics = await read('memory.stat');
  const cache = files.cache.reduce((sum, name) => {
    const [, pages] = new RegExp(`^${name} (\\d+)$`, 'm').exec(statistics) ?? [];
    return sum + Number(pages ?? 0);
  }, 0);
  const others = Math.max(0, (wholeNumber(await read(files.usage)) ?? 0) - cache - own);
  const taken = others > 0 ? `, of which other processes have ${formatBytes(others)}` : '';
  return {
    bytes: Math.max(0, limit - others),
    source: `${join(folder, files.limit)} (${formatBytes(limit)}${taken})`,
  };
}

/** What the process has that is not just pages of files. */
async function ownBytes(root: string): Promise<number> {
  const status = await textOf(join(root, 'proc/self/status'));
  return (kilobytes(status, 'RssAnon') ?? 0) + (kilobytes(status, 'RssShmem') ?? 0);
}

function kilobytes(text: string, name: string): number | undefined {
  const [, number] = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text) ?? [];
  return number === undefined ? undefined : Number(number) * 1024;
}

const wholeNumber = (text: string) => (/^\d+$/.test(text.trim()) ? Number(text) : undefined);

/** A file's text; nothing where it is not there, or not for this user to read. */
const textOf = (file: string) => readFile(file, 'utf8').catch(() => '');
