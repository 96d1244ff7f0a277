/**
 * One setup at a time in a working copy. The lock is a folder with a file that names the processes at work: setup itself and
 * the command that it is waiting for (an npm that outlives a killed setup still writes into node_modules). It is stale
 * when none of them is alive. A process is known by its number and, on Linux, its start time, as numbers are used again.
 */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isAlive, replaceFile, temporarySibling } from './files.mjs';

/**
 * Start time in clock ticks since boot (proc(5), field 22), or '' where there is no /proc. A zombie has none: it is dead, but
 * nobody has collected it yet, which in a container can take for ever.
 * @param {number} pid
 */
function startTime(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // Field 2, the command in parentheses, may hold spaces and parentheses itself; the state is field 3.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? 'dead' : (fields[19] ?? '');
  } catch {
    return '';
  }
}

/** @param {number} pid */
const describeProcess = (pid) => `${pid} ${startTime(pid)}\n`;

/** The first living process that a lock names, if any. @param {string} owners a line `PID START` for each */
export function findLivingOwner(owners) {
  return owners
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.split(' '))
    .find(([pid = '', start = '']) => isAlive(Number(pid)) && start === startTime(Number(pid)))?.[0];
}

/** @param {string} path */
function readOwners(path) {
  try {
    return readFileSync(join(path, 'owners'), 'utf8');
  } catch {
    return '';
  }
}

/** Takes the lock if nobody holds it. @param {string} path @returns {boolean} */
function tryAcquire(path) {
  const mine = temporarySibling(path);
  mkdirSync(mine, { recursive: true });
  writeFileSync(join(mine, 'owners'), describeProcess(process.pid));
  try {
    // Unlike "create, then write", a renamed folder appears together with its content; one that is there stays.
    renameSync(mine, path);
    return true;
  } catch (error) {
    rmSync(mine, { recursive: true, force: true });
    const { code } = /** @type {NodeJS.ErrnoException} */ (error);
    if (code === 'ENOTEMPTY' || code === 'EEXIST') return false;
    throw error;
  }
}

/** Moves the lock out of the way before deleting it: a half-deleted lock would look like a free one. @param {string} path */
function moveAside(path) {
  const aside = temporarySibling(`${path}.gone`);
  renameSync(path, aside);
  return aside;
}

/** Removes a lock whose owners are gone, unless another setup was quicker. @param {string} path @param {string} owners */
function removeStale(path, owners) {
  let aside;
  try {
    aside = moveAside(path);
    // Another setup may have removed the stale lock and taken its own since we looked: that one goes back.
    if (readOwners(aside) !== owners) renameSync(aside, path);
  } catch {
    // Gone already, or taken again: the next try decides.
  }
  if (aside !== undefined) rmSync(aside, { recursive: true, force: true });
}

/**
 * Waits for the lock and takes it.
 * @param {string} path a folder; the one that it lies in is made
 * @param {(pid: string) => void} onWait called once when another process holds it
 */
export async function acquireLock(path, onWait) {
  mkdirSync(dirname(path), { recursive: true });
  let told = false;
  while (!tryAcquire(path)) {
    const owners = readOwners(path);
    const living = findLivingOwner(owners);
    if (living === undefined) {
      removeStale(path, owners);
      continue;
    }
    if (!told) onWait(living);
    told = true;
    await sleep(200);
  }
  return {
    /** Names the command that setup waits for, too. @param {number | undefined} pid */
    setChild(pid) {
      const owners = describeProcess(process.pid) + (pid === undefined ? '' : describeProcess(pid));
      replaceFile(join(path, 'owners'), (temporary) => writeFileSync(temporary, owners));
    },
    release() {
      rmSync(moveAside(path), { recursive: true, force: true });
    },
  };
}
