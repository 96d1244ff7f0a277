/**
 * Opens a library through the addon in a process of its own, so that one which crashes takes only that process along.
 * Started as a program it does the opening: `node probe.mjs ADDON LIBRARY [--cuda] [--kernels=ONEDNN]`, JSON on the last line of
 * its output.
 */
import { fileURLToPath } from 'node:url';
import { runCommand } from './command.mjs';
import { SetupError } from './errors.mjs';
import { findAddon } from './find.mjs';

/**
 * @typedef {{ version: string, hasTraining: boolean, providers: string[], cudaFailure?: string | null,
 *   kernels?: { version: string, instructionSet: string } }} LibraryFacts
 *   `cudaFailure` is there when it was asked for: what CUDA said when it was started, or null when it works;
 *   so is `kernels`: the oneDNN that was loaded
 */

const program = fileURLToPath(import.meta.url);

/** @param {string} library @param {{ cuda?: boolean, kernels?: string }} [options] @returns {Promise<LibraryFacts>} */
export async function probeLibrary(library, { cuda = false, kernels } = {}) {
  const flags = [...(cuda ? ['--cuda'] : []), ...(kernels === undefined ? [] : [`--kernels=${kernels}`])];
  const addon = findAddon();
  if (addon === undefined) throw new SetupError('the native addon is not there');
  const output = await runCommand(process.execPath, [program, addon, library, ...flags]);
  return JSON.parse(output.trim().split('\n').at(-1) ?? '');
}

if (process.argv[1] === program) {
  const [addonFile = '', library = '', ...flags] = process.argv.slice(2);
  const kernelLibrary = flags.find((flag) => flag.startsWith('--kernels='))?.slice('--kernels='.length);
  const addon = { exports: /** @type {any} */ ({}) };
  try {
    process.dlopen(addon, addonFile);
    const { version, hasTraining, providers, kernels } = addon.exports.loadRuntime(library, kernelLibrary);
    // The number makes the provider look for a GPU; without it, a machine that has none would pass.
    const cudaFailure = flags.includes('--cuda')
      ? { cudaFailure: (await addon.exports.probeCuda({ device_id: '0' })) ?? null }
      : {};
    console.log(JSON.stringify({ version, hasTraining, providers, kernels, ...cudaFailure }));
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}
