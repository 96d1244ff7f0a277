#!/usr/bin/env node
/**
 * Makes test/parity/.venv, the virtual environment with the official generator of training artifacts that the parity
 * tests compare with. Nothing else of ortune uses Python. Run again it does nothing; killed, it starts over next time:
 * the stamp that says "complete" is written last.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { runCommand, watchSignals } from '../../scripts/setup/command.mjs';
import { Interrupted, SetupError } from '../../scripts/setup/errors.mjs';
import { readJson, writeJson } from '../../scripts/setup/files.mjs';
import { acquireLock } from '../../scripts/setup/lock.mjs';
import { root } from '../../scripts/setup/paths.mjs';

const folder = fileURLToPath(new URL('.', import.meta.url));
const requirements = join(folder, 'requirements.txt');
const environment = join(folder, '.venv');
const stampPath = join(environment, 'ortune.json');

/** The environment's interpreter. */
export const python = join(environment, 'bin', 'python');

/** Whether the absence of the environment is an error. */
export const required = process.env['ORTUNE_REQUIRE_PARITY'] === '1';

/** What a complete environment is stamped with. */
const wanted = { requirements: createHash('sha256').update(readFileSync(requirements)).digest('hex') };

/** Whether the environment is there, complete, and has the pinned packages. */
export function isReady() {
  return existsSync(python) && readJson(stampPath)?.requirements === wanted.requirements;
}

/** An interpreter that the generator's package exists for, or why there is none. @returns {{ command: string } | { problem: string }} */
function findPython() {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    return {
      problem: `onnxruntime-training-cpu 1.19.2 exists for Linux on x64, this is ${process.platform} on ${process.arch}`,
    };
  }
  const check = 'import ensurepip, sys; raise SystemExit(sys.version_info[:2] != (3, 11))';
  for (const command of ['python3.11', 'python3', 'python']) {
    if (spawnSync(command, ['-c', check]).status === 0) return { command };
  }
  return { problem: 'Python 3.11 with venv was not found (Debian 12: apt install python3.11-venv)' };
}

/** @param {string} command a Python 3.11 */
async function build(command) {
  const started = performance.now();
  rmSync(environment, { recursive: true, force: true });
  await runCommand(command, ['-m', 'venv', environment]);
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-deps', '--only-binary=:all:'];
  await runCommand(python, [...pip, '--requirement', requirements]);
  await runCommand(python, [join(folder, 'official.py'), 'check']);
  writeJson(stampPath, wanted);
  console.log(`parity: ${environment} made in ${Math.round((performance.now() - started) / 1000)} s`);
}

async function main() {
  if (isReady()) return console.log('parity: the environment is ready');
  const found = findPython();
  if ('problem' in found) {
    const message = `parity: the tests against the official generator will be skipped: ${found.problem}`;
    if (required) throw new SetupError(`${message}; ORTUNE_REQUIRE_PARITY=1 demands them`);
    return console.log(message);
  }
  const lock = await acquireLock(join(root, '.tmp', 'parity.lock'), (pid) =>
    console.log(`parity: waiting for process ${pid}`),
  );
  try {
    watchSignals((pid) => lock.setChild(pid));
    if (!isReady()) await build(found.command);
  } finally {
    lock.release();
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  try {
    await main();
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    console.error(error.message);
    process.exitCode = error instanceof Interrupted ? error.exitCode : 1;
  }
}
