#!/usr/bin/env node
/**
 * Makes a fresh clone ready: npm packages, native addon, training library. Plain Node, as there is nothing else yet.
 *
 * Each step is skipped when it is up to date, and may be stopped anywhere: work is done beside its place and renamed there
 * when it is complete. ONNX Runtime 1.24.1 is pinned because 1.25 does not train on CUDA and its makers have stopped working on
 * training; no install hook reaches for the network, only this program, through npm, cargo and Maven.
 */
import './setup/node-version.mjs'; // first: an old Node may not even read the others
import { join } from 'node:path';
import { addonIsCurrent, buildAddon } from './setup/addon.mjs';
import { chooseLibrary, findNvidiaDriver } from './setup/choice.mjs';
import { watchSignals } from './setup/command.mjs';
import { Interrupted, SetupError } from './setup/errors.mjs';
import { readJson, removeLeftovers } from './setup/files.mjs';
import { libraryIsCurrent, prepareLibrary, variantIsReady } from './setup/library.mjs';
import { acquireLock } from './setup/lock.mjs';
import { installPackages, packagesAreCurrent } from './setup/packages.mjs';
import { currentPath, lockPath, nativeFolder, runtimeFolder } from './setup/paths.mjs';
import { requireTools } from './setup/tools.mjs';

const help = `Makes ortune ready: installs the npm packages, builds the native addon (cargo), fetches the training library (Maven).
What is up to date is left alone.

  npm run setup [-- OPTION]        or        node scripts/setup.mjs [OPTION]

  --cuda     take the CUDA library even if no NVIDIA driver is found
  --cpu      take the CPU library even if one is found
  --quiet    print nothing when everything is up to date
  --help     print this

  ORTUNE_ORT_LIBRARY=/path/to/libonnxruntime.so.1.24.1
             use this build of ONNX Runtime, with the training API, instead of the pinned one

--cuda, --cpu and ORTUNE_ORT_LIBRARY are remembered until another of them is given.
"npm run doctor" tells what works and what does not.`;

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

async function main() {
  const options = parseArguments(process.argv.slice(2));
  if (options.help) return console.log(help);
  if (process.platform === 'win32')
    throw new SetupError('ortune does not run on Windows itself; use it in WSL 2, which is Linux');

  /** @type {import('./setup/choice.mjs').Runtime} */
  const runtime = readJson(join(nativeFolder, 'runtime.json'));
  const choice = chooseLibrary({
    runtime,
    platform: `${process.platform}-${process.arch}`,
    flag: options.flag,
    library: process.env['ORTUNE_ORT_LIBRARY'],
    current: readJson(currentPath),
    findDriver: findNvidiaDriver,
  });
  const libraryTitle = choice.library === undefined ? `${choice.variant} ${runtime.version}` : 'your own';
  /** @type {{ title: string, doing: string, tool: () => import('./setup/tools.mjs').Tool[], isCurrent: () => boolean, run: () => Promise<void> }[]} */
  const steps = [
    {
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
      isCurrent: addonIsCurrent,
      run: buildAddon,
    },
    {
      title: `library, ${libraryTitle} (${choice.reason})`,
      doing: choice.library === undefined ? 'unpacking by Maven' : 'copying and checking',
      tool: () => (choice.library !== undefined || variantIsReady(runtime, choice) ? [] : ['mvn']),
      isCurrent: () => libraryIsCurrent(runtime, choice),
      run: () => prepareLibrary(runtime, choice),
    },
  ];

  const due = steps.filter((step) => !step.isCurrent());
  if (due.length === 0) {
    if (!options.quiet) for (const step of steps) console.log(`${step.title}: up to date`);
    return;
  }
  requireTools(due.flatMap((step) => step.tool()));
  const lock = await acquireLock(lockPath, (pid) =>
    console.log(`waiting for another setup (process ${pid}) to finish`),
  );
  try {
    watchSignals(lock.setChild);
    for (const folder of [runtimeFolder, nativeFolder]) removeLeftovers(folder);
    for (const step of steps) {
      if (step.isCurrent()) {
        if (!options.quiet) console.log(`${step.title}: up to date`);
        continue;
      }
      const start = performance.now();
      const progress = process.stdout.isTTY ? `${step.title}: ${step.doing} ...` : '';
      process.stdout.write(progress);
      try {
        await step.run();
      } finally {
        if (progress) process.stdout.write('\r\x1b[2K');
      }
      console.log(`${step.title}: done in ${((performance.now() - start) / 1000).toFixed(1)} s`);
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
  process.exitCode = error instanceof Interrupted ? error.exitCode : 1;
}
