/** File helpers that keep one promise: a killed setup leaves nothing that a later one takes for complete. */
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

/** SHA-256 of a file as lower-case hex, read in pieces: the CUDA provider alone has 183 MB. @param {string} path */
export function sha256File(path) {
  const hash = createHash('sha256');
  const piece = Buffer.allocUnsafe(1 << 20);
  const file = openSync(path, 'r');
  try {
    for (let n = readSync(file, piece); n > 0; n = readSync(file, piece)) hash.update(piece.subarray(0, n));
  } finally {
    closeSync(file);
  }
  return hash.digest('hex');
}

/**
 * One SHA-256 over the names and contents of files and of the folders among `names`; what does not exist is passed over.
 * @param {string} folder @param {string[]} names relative to `folder`
 */
export function sha256Tree(folder, names) {
  const hash = createHash('sha256');
  /** @param {string} name */
  const add = (name) => {
    const path = join(folder, name);
    if (!existsSync(path)) return;
    if (statSync(path).isDirectory()) {
      for (const entry of readdirSync(path).sort()) add(`${name}/${entry}`);
    } else {
      hash.update(`${name}\0${sha256File(path)}\0`);
    }
  };
  for (const name of names) add(name);
  return hash.digest('hex');
}

/** The parsed file, or `undefined` when it is missing or no JSON. @param {string} path */
export function readJson(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}

/** @param {string} path @param {unknown} value */
export function writeJson(path, value) {
  replaceFile(path, (temporary) => writeFileSync(temporary, `${JSON.stringify(value, null, 2)}\n`));
}

/** A name beside `path` that no other living process uses; `removeLeftovers` knows it. @param {string} path */
export const temporarySibling = (path) => `${path}.tmp-${process.pid}`;

/**
 * Writes a file beside `path`, then renames it there. An addon or library that a process has mapped keeps its old file.
 * @param {string} path @param {(temporary: string) => void} write
 */
export function replaceFile(path, write) {
  const temporary = temporarySibling(path);
  write(temporary);
  renameSync(temporary, path);
}

/** Puts a finished folder in the place of another; between the two renames there is none, never a mixture.
 * @param {string} finished @param {string} path */
export function replaceFolder(finished, path) {
  const old = temporarySibling(`${path}.old`);
  rmSync(old, { recursive: true, force: true });
  if (existsSync(path)) renameSync(path, old);
  renameSync(finished, path);
  rmSync(old, { recursive: true, force: true });
}

/** Deletes what killed setups left half-done, except a living process's: it may be waiting for the lock. @param {string} folder */
export function removeLeftovers(folder) {
  for (const name of readdirSync(folder)) {
    const pid = /\.tmp-(\d+)$/.exec(name)?.[1];
    if (pid !== undefined && !isAlive(Number(pid))) rmSync(join(folder, name), { recursive: true, force: true });
  }
}

/** @param {number} pid */
export function isAlive(pid) {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    // EPERM: there is such a process, of another user.
    return /** @type {NodeJS.ErrnoException} */ (error).code === 'EPERM';
  }
}
