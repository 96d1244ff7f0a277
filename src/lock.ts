import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { constants, copyFile, link, readdir, readFile, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isAlive } from './alive.ts';
import { writeSynced } from './write-files.ts';

/** Who has a lock. */
export interface Holder {
  readonly pid: number;
  /** Tells the process from a later one of the same number. */
  readonly begun?: string | undefined;
  readonly since: string;
  /** Tells the lock from any other. */
  readonly id: string;
}

/** Locks of this process that are released, though they could not be removed. */
const released = new Set<string>();

/**
 * Keeps other processes off something, until the lock is released or its process ends, however it does.
 *
 * @param file of the lock
 * @param busy the error for whoever comes later; without a holder where the file is none of a lock's
 * @returns releases it
 * @throws what `busy` makes; the system's error where there is no writing
 */
export async function lock(file: string, busy: (holder: Holder | undefined) => Error): Promise<() => Promise<void>> {
  const id = randomUUID();
  const begun = beginOf(process.pid);
  const own: Holder = { pid: process.pid, ...(begun !== undefined && { begun }), since: new Date().toISOString(), id };
  // Linked to its place, so that nobody reads it half written.
  const draft = `${file}.new-${process.pid}-${id}`;
  try {
    await writeSynced(draft, Buffer.from(JSON.stringify(own)));
    while (!(await putThere(draft, file)) && !(await succeed(draft, file, busy)));
    await removeAbandoned(file).catch(() => {});
  } finally {
    await rm(draft, { force: true }).catch(() => {});
  }
  return async () => {
    // On a disk that has become read-only, say. To other processes it is nobody's once this one has ended.
    await rm(file, { force: true }).catch(() => released.add(id));
  };
}

/**
 * Puts a lock in the place of one whose process has ended. Of several that would, one may: who has the lock on the
 * succession of this very lock, and still finds it there.
 *
 * @returns whether it is done; otherwise the place has become free
 */
async function succeed(draft: string, file: string, busy: (holder: Holder | undefined) => Error): Promise<boolean> {
  const before = await read(file);
  if (before === undefined) return false;
  if (before !== 'unreadable' && holds(before)) throw busy(before);
  const idOf = (found: typeof before) => (found === 'unreadable' ? found : found.id);
  const release = await lock(`${file}.after-${idOf(before)}`, busy);
  try {
    const now = await read(file);
    if (now === undefined) return false;
    if (idOf(now) !== idOf(before)) throw busy(now === 'unreadable' ? undefined : now);
    await rename(draft, file);
    return true;
  } finally {
    await release();
  }
}

/** What processes left that were killed at it; only a lock's holder may, to whom no succession can happen any more. */
async function removeAbandoned(file: string): Promise<void> {
  const [draft, succession] = [`${basename(file)}.new-`, `${basename(file)}.after-`];
  for (const name of await readdir(dirname(file))) {
    const isDraft = name.startsWith(draft) && !isAlive(Number.parseInt(name.slice(draft.length), 10));
    if (isDraft || name.startsWith(succession)) await rm(join(dirname(file), name), { force: true });
  }
}

/** Whether there was no file yet. */
async function putThere(draft: string, file: string): Promise<boolean> {
  try {
    await link(draft, file).catch((error) => {
      if (error.code === 'EEXIST') throw error;
      // A file system without hard links.
      return copyFile(draft, file, constants.COPYFILE_EXCL);
    });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Who has a lock; `undefined` where there is none any more. */
async function read(file: string): Promise<Holder | 'unreadable' | undefined> {
  try {
    const { pid, begun, since, id } = JSON.parse(await readFile(file, 'utf8')) as Partial<Holder>;
    if (typeof pid !== 'number' || typeof id !== 'string' || !/^[\w-]+$/.test(id)) return 'unreadable';
    return { pid, begun, since: String(since), id };
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? undefined : 'unreadable';
  }
}

const holds = ({ pid, begun, id }: Holder): boolean =>
  !released.has(id) && isAlive(pid) && (begun === undefined || beginOf(pid) === begun);

/** When a process began, in ticks since the system did; nothing where the system does not tell. */
function beginOf(pid: number): string | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in brackets may hold spaces; after it comes the third field.
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}
