#!/usr/bin/env node
/**
 * Makes a fresh clone or an installed package ready: npm packages, native addon, training library, oneDNN. Plain Node, as there
 * is nothing else yet.
 *
 * Each step is skipped when it is up to date, and may be stopped anywhere: work is done beside its place and renamed there
 * when it is complete. ONNX Runtime 1.24.1 is pinned because 1.25 does not train on CUDA and its makers have stopped working on
 * training; no install hook reaches for the network, only this program, through npm, cargo and Maven.
 */
import './setup/node-version.mjs'; // first: an old Node may not even read the others
import { join } from 'node:path';
import { addonIsCurrent, buildAddon, usablePrebuilt } from './setup/addon.mjs';
import { chooseKernels, chooseLibrary, findNvidiaDriver } from './setup/choice.mjs';
import { watchSignals } from './setup/command.mjs';
import { Interrupted, SetupError } from './setup/errors.mjs';
import { readJson, removeLeftovers } from './setup/files.mjs';
import { findServing } from './setup/find.mjs';
import { libraryIsCurrent, prepareLibrary, variantIsReady } from './setup/library.mjs';
import { acquireLock } from './setup/lock.mjs';
import { kernelsAreCurrent, prepareKernels, stockKernels } from './setup/onednn.mjs';
import { installPackages, packagesAreCurrent } from './setup/packages.mjs';
import {
  currentPath,
  home,
  isInstalled,
  lockPath,
  nativeFolder,
  runtimeFolder,
  servingVersion,
} from './setup/paths.mjs';
import { showStep } from './setup/progress.mjs';
import { platformProblem, thisMachine } from './setup/remedies.mjs';
import { installServing } from './setup/serving.mjs';
import { requireTools } from './setup/tools.mjs';

const help = `Makes ortune ready: installs npm packages that it lacks, builds the native addon (cargo) where none comes with it, fetches
the training library and oneDNN (Maven). What is up to date is left alone.

  npx ortune setup [OPTION]

  --cuda     take the CUDA library even if no NVIDIA driver is found
  --cpu      take the CPU library even if one is found
  --quiet    print nothing when everything is up to date
  --help     print this

  ORTUNE_ORT_LIBRARY=/path/to/libonnxruntime.so.1.24.1
             use this build of ONNX Runtime, with the training API, instead of the pinned one
  ORTUNE_HOME=/path/to/folder
             where all this goes, and is looked for by every command; by default native/ of a clone, and for an
             installed package ~/.cache/ortune/VERSION (or below $XDG_CACHE_HOME)
  ORTUNE_ONEDNN=0
             leave out oneDNN, whose kernels train faster on the CPU (Linux on x64 only); ORTUNE_ONEDNN=1 takes it again

--cuda, --cpu and ORTUNE_ORT_LIBRARY are remembered until another of them is given, ORTUNE_ONEDNN until it is given anew.
"npx ortune doctor" tells what works and what does not.`;

/** @param {string[]} args */
function parseArguments(args) {
  const known = ['--cpu', '--cuda', '--quiet', '--help'];
  const unknown = args.find((arg) => !known.includes(arg));
  if (unknown !== undefined) throw new SetupError(`unknown option ${unknown}; known are ${known.join(', ')}`);
  /** @type {('cpu' | 'cuda')[]} */
  const flags = /** @type {const} */ (['cpu', 'cuda']).filter((device) => args.includes(`--${device}`));
  if (flags.length > 1) throw new SetupError('--cpu and --cuda exclude each other: give one of them, or none');
  return { flag: flags[0], quiet: args.includes('--quiet'), help: args.includes('--help') };
}

/** @param {{ title: string, state?: string }} step */
const tellCurrent = ({ title, state = 'up to date' }) => console.log(`${title}: ${state}`);

async function main() {
  const options = parseArguments(process.argv.slice(2));
  if (options.help) return console.log(help);
  if (process.platform === 'win32') throw new SetupError(platformProblem(process) ?? '');

  /** @type {import('./setup/choice.mjs').Runtime} */
  const runtime = readJson(join(nativeFolder, 'runtime.json'));
  const platform = `${process.platform}-${process.arch}`;
  const current = readJson(currentPath);
  const choice = chooseLibrary({
    runtime,
    platform,
    flag: options.flag,
    library: process.env['ORTUNE_ORT_LIBRARY'],
    current,
    findDriver: findNvidiaDriver,
  });
  const wanted = process.env['ORTUNE_ONEDNN'];
  const kernels = chooseKernels({ runtime, platform, wanted, current: current?.kernels });
  const libraryTitle = choice.library === undefined ? `${choice.variant} ${runtime.version}` : 'your own';
  /** @type {{ title: string, doing: string, tool: () => import('./setup/tools.mjs').Tool[], isCurrent: () => boolean,
   *   state?: string, run: () => Promise<string | void> }[]} `state` is said when nothing is due, what `run` returns when it is done */
  const steps = [
    isInstalled
      ? {
          title: `onnxruntime-node ${servingVersion}`,
          doing: 'npm install',
          tool: () => ['npm'],
          isCurrent: () => findServing() !== undefined,
          run: installServing,
        }
      : {
          title: 'packages',
          doing: 'npm ci',
          tool: () => ['npm'],
          isCurrent: packagesAreCurrent,
          run: installPackages,
        },
    {
      title: 'addon',
      doing: 'cargo build',
      tool: () => ['cargo'],
      isCurrent: () => addonIsCurrent() || usablePrebuilt() !== undefined,
      run: buildAddon,
    },
    {
      title: `library, ${libraryTitle} (${choice.reason})`,
      doing: choice.library === undefined ? 'unpacking by Maven' : 'copying and checking',
      tool: () => (choice.library !== undefined || variantIsReady(runtime, choice) ? [] : ['mvn']),
      isCurrent: () => libraryIsCurrent(runtime, choice),
      run: () => prepareLibrary(runtime, choice),
    },
    {
      title: `oneDNN ${runtime.oneDNN.version}`,
      doing: 'unpacking by Maven',
      tool: () => [],
      isCurrent: () => kernelsAreCurrent(runtime, kernels, { retry: !options.quiet }),
      ...('absent' in kernels && { state: `${kernels.reason}; ${stockKernels}` }),
      run: () => prepareKernels(runtime, kernels),
    },
  ];

  const due = steps.filter((step) => !step.isCurrent());
  if (due.length === 0) {
    if (!options.quiet) steps.forEach(tellCurrent);
    return;
  }
  // The report that tells the C library is too slow for a setup with nothing to do.
  const problem = choice.library === undefined ? platformProblem(thisMachine()) : undefined;
  if (problem !== undefined) throw new SetupError(problem);
  requireTools(due.flatMap((step) => step.tool()));
  const lock = await acquireLock(lockPath, (pid) =>
    console.log(`waiting for another setup (process ${pid}) to finish`),
  );
  try {
    watchSignals(lock.setChild);
    for (const folder of [runtimeFolder, home]) removeLeftovers(folder);
    for (const [index, step] of steps.entries()) {
      if (step.isCurrent()) {
        if (!options.quiet) tellCurrent(step);
        continue;
      }
      const start = performance.now();
      const hide = showStep({ index, count: steps.length, text: `${step.title}: ${step.doing}` });
      let result;
      try {
        result = await step.run();
      } finally {
        hide();
      }
      console.log(`${step.title}: ${result ?? `done in ${((performance.now() - start) / 1000).toFixed(1)} s`}`);
    }
  } finally {
    lock.release();
  }
}

try {
  await main();
} catch (error) {
  // A system error (no space, no permission) names its path, too; anything else is a defect and keeps its stack.
  const expected = error instanceof SetupError || (error instanceof Error && 'syscall' in error);
  if (!expected) throw error;
  console.error(`setup: ${error.message}`);
  if ('code' in error && ['EACCES', 'EPERM', 'EROFS'].includes(String(error.code)) && isInstalled) {
    console.error(`Set ORTUNE_HOME to a folder that you may write to, for this and for every command after it.`);
  }
  process.exitCode = error instanceof Interrupted ? error.exitCode : 1;
}
