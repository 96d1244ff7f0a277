#!/usr/bin/env node
/**
 * Makes the virtual environments with the packages that the parity tests compare with: the official generator of training
 * artifacts and PaddlePaddle in one, PyTorch and torchvision, TensorBoard, ONNX Runtime, Schemathesis. Nothing else of ortune uses Python. Run again it
 * does nothing; killed, it starts over next time: the stamp that says "complete" is written last.
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

/**
 * @param {string} name of the environment's folder
 * @param {string} list file with the pinned packages, complete: pip resolves nothing
 * @param {string} tools script whose command `check` imports everything
 */
function environment(name, list, tools) {
  const path = join(folder, name);
  const python = join(path, 'bin', 'python');
  const script = join(folder, tools);
  const requirements = join(folder, list);
  const stampPath = join(path, 'ortune.json');
  /** What a complete environment is stamped with. */
  const wanted = { requirements: createHash('sha256').update(readFileSync(requirements)).digest('hex') };

  return {
    python,
    script,
    isReady: () => existsSync(python) && readJson(stampPath)?.requirements === wanted.requirements,

    /** @param {string} command a Python 3.11 */
    async build(command) {
      const started = performance.now();
      rmSync(path, { recursive: true, force: true });
      await runCommand(command, ['-m', 'venv', path]);
      const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-deps'];
      await runCommand(python, [...pip, '--no-compile', '--only-binary=:all:', '--requirement', requirements]);
      await runCommand(python, [script, 'check']);
      writeJson(stampPath, wanted);
      console.log(`parity: ${path} made in ${Math.round((performance.now() - started) / 1000)} s`);
    },
  };
}

/** The official generator of training artifacts, and PaddlePaddle. */
export const official = environment('.venv', 'requirements.txt', 'official.py');

/** PyTorch and torchvision, whose numpy is not the generator's. */
export const pytorch = environment('.venv-torch', 'requirements-torch.txt', 'pytorch.py');

/** TensorBoard. */
export const tensorboard = environment('.venv-tensorboard', 'requirements-tensorboard.txt', 'event_files.py');

/** ONNX Runtime's wheel, which serves models. */
export const serving = environment('.venv-serving', 'requirements-serving.txt', 'serving.py');

/** Schemathesis. */
export const fuzzing = environment('.venv-schemathesis', 'requirements-schemathesis.txt', 'fuzz.py');

/** Whether the absence of an environment is an error. */
export const required = process.env['ORTUNE_REQUIRE_PARITY'] === '1';

const missing = () => [official, pytorch, tensorboard, serving, fuzzing].filter(({ isReady }) => !isReady());

/** An interpreter that all the packages exist for, or why there is none. @returns {{ command: string } | { problem: string }} */
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

async function main() {
  if (missing().length === 0) return console.log('parity: the environments are ready');
  const found = findPython();
  if ('problem' in found) {
    const message = `parity: the tests against the official packages will be skipped: ${found.problem}`;
    if (required) throw new SetupError(`${message}; ORTUNE_REQUIRE_PARITY=1 demands them`);
    return console.log(message);
  }
  const lock = await acquireLock(join(root, '.tmp', 'parity.lock'), (pid) =>
    console.log(`parity: waiting for process ${pid}`),
  );
  try {
    watchSignals((pid) => lock.setChild(pid));
    for (const { build } of missing()) await build(found.command);
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
