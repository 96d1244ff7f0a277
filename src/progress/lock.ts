import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { constants, copyFile, link, readFile, rm, writeFile } from 'node:fs/promises';
import { OrtuneError } from '../errors.ts';

interface Holder {
  readonly pid: number;
  /** Tells it from a later process of the same number. */
  readonly begun: string | undefined;
  readonly since: string;
}

/**
 * Keeps other runs off a folder, until the lock is released or its process ends, however it does.
 *
 * @param file of the lock
 * @param what it protects, for the message
 * @returns releases it
 * @throws OrtuneError `RUN_BUSY` naming the run that has it
 */
export async function lock(file: string, what: string): Promise<() => Promise<void>> {
  const own: Holder = { pid: process.pid, begun: beginOf(process.pid), since: new Date().toISOString() };
  // Linked to its place, so that nobody reads it half written.
  const draft = `${file}-${process.pid}-${randomUUID()}`;
  await writeFile(draft, JSON.stringify(own));
  try {
    await place(draft, file, what);
  } finally {
    await rm(draft, { force: true });
  }
  return () => rm(file, { force: true });
}

async function place(draft: string, file: string, what: string): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      await putThere(draft, file);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const holder = await readHolder(file);
    if (attempt > 0 || (holder && isAlive(holder))) {
      const who = holder ? `process ${holder.pid}, since ${holder.since}` : `${file} cannot be read`;
      throw new OrtuneError(
        'RUN_BUSY',
        `${what}: expected no other run that writes to it, found one (${who}). Wait for it or stop it, or choose another --out.`,
      );
    }
    await rm(file, { force: true });
  }
}

/** Fails with `EEXIST` where there is a file already. */
async function putThere(draft: string, file: string): Promise<void> {
  try {
    await link(draft, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw error;
    // A file system without hard links.
    await copyFile(draft, file, constants.COPYFILE_EXCL);
  }
}

async function readHolder(file: string): Promise<Holder | undefined> {
  try {
    return JSON.parse(await readFile(file, 'utf8'));
  } catch {
    return undefined;
  }
}

function isAlive({ pid, begun }: Holder): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  return begun === undefined || beginOf(pid) === begun;
}

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
