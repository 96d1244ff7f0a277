#!/usr/bin/env node
/**
 * Says what works here and what does not, one line each, with the remedy; ends with exit code 1 if training cannot work. It needs
 * nothing but Node, so that it helps where setup failed. What might crash is tried in a process of its own.
 */
import './setup/node-version.mjs'; // first: an old Node may not even read the others
import { existsSync } from 'node:fs';
import os from 'node:os'; // whole: an old Node lacks some names, and would fail on them before it is refused
import { basename, dirname, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { addonIsCurrent } from './setup/addon.mjs';
import { findNvidiaDriver } from './setup/choice.mjs';
import { runCommand } from './setup/command.mjs';
import { describeGaps, findCudaGaps } from './setup/cuda.mjs';
import { CommandFailed } from './setup/errors.mjs';
import { readJson } from './setup/files.mjs';
import { findAddon, findServing, resolveFrom } from './setup/find.mjs';
import { minimumNode } from './setup/node-version.mjs';
import { stockKernels } from './setup/onednn.mjs';
import { packagesAreCurrent } from './setup/packages.mjs';
import { addonPath, currentPath, home, isInstalled, root, runtimeFolder, version } from './setup/paths.mjs';
import { damagedFiles, readManifest } from './setup/pinned.mjs';
import { probeLibrary } from './setup/probe.mjs';
import { loadSolutions, platformProblem, thisMachine } from './setup/remedies.mjs';

const setup = 'run `npx ortune setup`';
let canTrain = true;
/** @param {string} path */
const show = (path) => (isInstalled ? path : relative(root, path));

/** @param {string} name @param {string} text */
const ok = (name, text) => console.log(`ok       ${name.padEnd(18)}${text}`);
/** Something to know that does not keep from training. @param {string} name @param {string} text */
const note = (name, text) => console.log(`note     ${name.padEnd(18)}${text}`);
/** Something that keeps from training. @param {string} name @param {string} text */
function problem(name, text) {
  canTrain = false;
  console.log(`PROBLEM  ${name.padEnd(18)}${text}`);
}
/** @param {unknown} error */
const reasonOf = (error) => (error instanceof CommandFailed ? error.reason : String(error));

/**
 * @typedef {{ library: string, variant: string, version: string, source: string, sha256: string,
 *   kernels?: import('./setup/onednn.mjs').Kernels }} Current `current.json`
 */

function checkPackages() {
  if (packagesAreCurrent()) ok('packages', 'as in package-lock.json');
  else problem('packages', `node_modules is not what package-lock.json says: ${setup}`);
}

function checkPlatform() {
  const name = `${process.platform}-${process.arch}, ${os.release()}`;
  const lacking = process.env['ORTUNE_ORT_LIBRARY'] ? undefined : platformProblem(thisMachine());
  if (lacking === undefined) ok('platform', name);
  else problem('platform', `${name}: ${lacking}`);
}

/** @param {string} name @param {string | undefined} file its main module @param {(name: string, text: string) => void} complain */
async function checkPackage(name, file, complain) {
  if (file === undefined) return complain(name, `not installed: ${setup}`);
  const { version } = readJson(join(dirname(dirname(file)), 'package.json'));
  try {
    await runCommand(process.execPath, ['--eval', `import(${JSON.stringify(pathToFileURL(file))})`]);
    ok(name, `${version} loads`);
  } catch (error) {
    const anew = isInstalled ? `install ${name} anew` : `delete node_modules, then ${setup}`;
    complain(
      name,
      [`${version} does not load: ${reasonOf(error)}; ${anew}`, ...loadSolutions(reasonOf(error))].join('; '),
    );
  }
}

function checkAddon() {
  const file = findAddon();
  if (file === undefined) problem('addon', `${show(addonPath)} is not built: ${setup}`);
  else if (file !== addonPath) ok('addon', `${file}, prebuilt`);
  else if (addonIsCurrent()) ok('addon', show(addonPath));
  else note('addon', `${show(addonPath)} is not built from the present native/src: ${setup}`);
}

/** @returns {Current | undefined} */
function checkLibrary() {
  /** @type {Current | undefined} */
  const current = readJson(currentPath);
  if (current === undefined) {
    problem('library', `no training library: ${setup}`);
    return undefined;
  }
  const path = join(runtimeFolder, current.library);
  const damaged = damagedFiles(
    current.variant,
    readManifest(current.variant)?.files ?? { [basename(path)]: { size: 0, sha256: current.sha256 } },
  );
  const from = current.source === 'maven' ? 'from Maven' : `copied from ${current.source}`;
  if (damaged.length === 0) ok('library', `${show(path)}, ONNX Runtime ${current.version} ${from}, checksums right`);
  else {
    const remedy = `delete ${show(join(runtimeFolder, current.variant))}, then ${setup}`;
    problem('library', `${damaged.join(', ')} missing or changed since setup (SHA-256 differs): ${remedy}`);
  }
  return current;
}

/** @param {Current | undefined} current @returns {Promise<string[]>} the providers that the library was built with */
async function checkTraining(current) {
  if (current === undefined || findAddon() === undefined) {
    problem('training', 'unknown until addon and library are there');
    return [];
  }
  try {
    const facts = await probeLibrary(join(runtimeFolder, current.library));
    if (facts.hasTraining) ok('training', 'the library loads and has the training API');
    else
      problem(
        'training',
        `the library has no training API; unset ORTUNE_ORT_LIBRARY, then run \`npx ortune setup --cpu\``,
      );
    ok('providers', facts.providers.join(', '));
    return facts.providers;
  } catch (error) {
    problem(
      'training',
      [`the library does not load: ${reasonOf(error)}`, ...loadSolutions(reasonOf(error))].join('; '),
    );
    return [];
  }
}

/**
 * oneDNN is optional: where there is none, training goes on without it; a damaged one would be loaded, and is a problem.
 * @param {Current | undefined} current @param {boolean} libraryLoads
 */
async function checkKernels(current, libraryLoads) {
  const kernels = current?.kernels;
  if (kernels === undefined) return note('oneDNN', `not set up, ${stockKernels}: ${setup}`);
  if ('absent' in kernels) {
    const reasons = {
      off: 'left out, as ORTUNE_ONEDNN=0 asked; ORTUNE_ONEDNN=1 npx ortune setup takes it',
      unavailable: `none is pinned for ${process.platform}-${process.arch}`,
      failed: `not there (${'reason' in kernels ? kernels.reason : ''}); \`npx ortune setup\` tries again`,
    };
    return note('oneDNN', `${reasons[kernels.absent]}; ${stockKernels}`);
  }
  const path = join(runtimeFolder, kernels.library);
  const folder = dirname(kernels.library);
  const damaged = damagedFiles(
    folder,
    readManifest(folder)?.files ?? { [basename(path)]: { size: 0, sha256: kernels.sha256 } },
  );
  if (damaged.length > 0) {
    const remedy = `delete ${show(dirname(path))}, then ${setup}`;
    const tell = existsSync(path) ? problem : note;
    return tell('oneDNN', `${damaged.join(', ')} missing or changed since setup (SHA-256 differs): ${remedy}`);
  }
  const place = `${show(path)}, from Maven, checksums right`;
  if (!libraryLoads) return ok('oneDNN', `${place}; not loaded, as the training library does not load`);
  try {
    const loaded = (await probeLibrary(join(runtimeFolder, current?.library ?? ''), { kernels: path })).kernels;
    ok('oneDNN', loaded === undefined ? place : `${place}; ${loaded.version} loads, on ${loaded.instructionSet}`);
  } catch (error) {
    problem(
      'oneDNN',
      `${place}, but does not load: ${reasonOf(error)}; to leave it out: ORTUNE_ONEDNN=0 npx ortune setup`,
    );
  }
}

/** CUDA is never needed to train, so this only notes. @param {Current | undefined} current @param {string[]} providers */
async function checkCuda(current, providers) {
  const driver = findNvidiaDriver();
  const isBuiltIn = providers.includes('CUDAExecutionProvider');
  if (driver === undefined && !isBuiltIn) return note('cuda', 'not available: no NVIDIA driver was found');
  // What a library of the user's own needs, only its loader knows.
  const gaps = current?.source === 'maven' || !isBuiltIn ? await findCudaGaps() : [];
  if (!isBuiltIn) {
    const remedy = current === undefined ? setup : 'run `npx ortune setup --cuda`';
    gaps.unshift({ product: 'training library', missing: `${current?.variant ?? 'none'} has no CUDA`, remedy });
  }
  if (gaps.length > 0) {
    note('cuda', `not available, ${gaps.length === 1 ? 'one thing is' : `${gaps.length} things are`} missing:`);
    for (const line of describeGaps(gaps)) note('', line);
    return;
  }
  try {
    const { cudaFailure } = await probeLibrary(join(runtimeFolder, current?.library ?? ''), { cuda: true });
    if (cudaFailure) note('cuda', `not available: ${cudaFailure.split('\n')[0]}`);
    else ok('cuda', `available, ${driver?.version === undefined ? 'driver found' : `driver ${driver.version}`}`);
  } catch (error) {
    note('cuda', `not available: ${reasonOf(error)}`);
  }
}

function checkMemory() {
  const gibibytes = (/** @type {number} */ bytes) => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  const text = `${gibibytes(process.availableMemory())} free of ${gibibytes(os.totalmem())}`;
  // Measured, peak of the process: whole ResNet50, batch 16, at 128 and at 224 pixels.
  if (process.availableMemory() >= 4 * 2 ** 30) ok('memory', text);
  else
    note(
      'memory',
      `${text}; training the whole ResNet50 with batch 16 takes 1.5 GiB at 128 pixels and 4 GiB at 224: choose a smaller batch`,
    );
}

ok('node', `${process.versions.node}, ${minimumNode} or newer is needed`);
ok('ortune', `${version}; native parts in ${home}`);
checkPlatform();
if (!isInstalled) checkPackages();
await checkPackage('sharp', resolveFrom(root, 'sharp'), problem); // reads the pictures
await checkPackage('onnxruntime-node', findServing(), note); // serves the trained model
checkAddon();
const current = checkLibrary();
const providers = await checkTraining(current);
await checkKernels(current, providers.length > 0);
await checkCuda(current, providers);
ok('threads', `${os.availableParallelism()}`);
checkMemory();
console.log(canTrain ? 'Training can work.' : 'Training cannot work before the problems above are solved.');
process.exitCode = canTrain ? 0 : 1;
