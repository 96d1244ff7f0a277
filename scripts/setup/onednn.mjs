/** Step four: oneDNN, whose kernels train faster on the CPU, under native/runtime/onednn-<variant>/. Training works without it. */
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { CommandFailed, Interrupted, SetupError } from './errors.mjs';
import { readJson, writeJson } from './files.mjs';
import { currentPath, runtimeFolder } from './paths.mjs';
import { isComplete, makeFolder, readManifest, unpackPinned } from './pinned.mjs';
import { probeLibrary } from './probe.mjs';
import { findToolProblems } from './tools.mjs';

/**
 * @typedef {import('./choice.mjs').Runtime} Runtime
 * @typedef {import('./choice.mjs').KernelChoice} KernelChoice
 * @typedef {{ library: string, version: string, sha256: string }
 *   | { absent: 'off' | 'unavailable' } | { absent: 'failed', artifact: string, reason: string }} Kernels
 *   `kernels` of current.json: what there is, or why there is nothing
 */

/** What becomes of training without it. */
export const stockKernels = 'training on the CPU uses the stock kernels';

/** Its own OpenMP library, libgomp, lies beside it: its RUNPATH is $ORIGIN. */
const libraryName = 'libdnnl.so.3';

/** @param {string} variant */
const folderName = (variant) => `onednn-${variant}`;

/** @param {string} variant @param {import('./pinned.mjs').Manifest} manifest @returns {Kernels} */
const describeKernels = (variant, { library, version, files }) => ({
  library: `${folderName(variant)}/${library}`,
  version,
  sha256: files[library]?.sha256 ?? '',
});

/** @param {Runtime} runtime @param {string} variant */
function readReady({ oneDNN }, variant) {
  const manifest = readManifest(folderName(variant));
  if (manifest === undefined || !isComplete(folderName(variant), manifest)) return undefined;
  return isDeepStrictEqual(manifest.origin, oneDNN.variants[variant]?.files) ? manifest : undefined;
}

/**
 * @param {Runtime} runtime
 * @param {KernelChoice} choice
 * @param {{ retry: boolean }} options whether to fetch again what could not be fetched; not before every command
 */
export function kernelsAreCurrent(runtime, choice, { retry }) {
  /** @type {Kernels | undefined} */
  const kernels = readJson(currentPath)?.kernels;
  if ('absent' in choice) return kernels !== undefined && 'absent' in kernels && kernels.absent === choice.absent;
  if (kernels !== undefined && 'absent' in kernels && kernels.absent === 'failed') {
    return kernels.artifact === runtime.oneDNN.artifact && !retry;
  }
  const manifest = readReady(runtime, choice.variant);
  return manifest !== undefined && isDeepStrictEqual(kernels, describeKernels(choice.variant, manifest));
}

/**
 * Makes the folder unless it is ready, then names it in current.json; or writes there why there is none.
 * @param {Runtime} runtime
 * @param {KernelChoice} choice
 * @returns {Promise<string | undefined>} for the user, where there is no oneDNN
 */
export async function prepareKernels(runtime, choice) {
  if ('absent' in choice) {
    record({ absent: choice.absent });
    return `${choice.reason}; ${stockKernels}`;
  }
  const { variant } = choice;
  try {
    if (readReady(runtime, variant) === undefined) await fetchKernels(runtime, variant);
  } catch (error) {
    // Everything else, such as a full disk, would keep the other steps from working as well.
    if (!(error instanceof SetupError) || error instanceof Interrupted) throw error;
    const reason = summarize(error);
    record({ absent: 'failed', artifact: runtime.oneDNN.artifact, reason });
    return `not there (${reason}); ${stockKernels}`;
  }
  const manifest = readManifest(folderName(variant));
  if (manifest !== undefined) record(describeKernels(variant, manifest));
  return undefined;
}

/** @param {Runtime} runtime @param {string} variant */
async function fetchKernels({ oneDNN }, variant) {
  const [problem] = findToolProblems(['mvn']);
  if (problem !== undefined) throw new SetupError(problem);
  const origin = oneDNN.variants[variant]?.files ?? {};
  await makeFolder(folderName(variant), async (work) => {
    await unpackPinned(oneDNN.artifact, variant, origin, work);
    const { library } = readJson(currentPath);
    await probeLibrary(join(runtimeFolder, library), { kernels: join(work, libraryName) });
    return { library: libraryName, version: oneDNN.version, source: 'maven', origin };
  });
}

/** @param {Kernels} kernels */
const record = (kernels) => writeJson(currentPath, { ...readJson(currentPath), kernels });

/** On one line. Maven names the reason in its first line of errors, and ends with where to read more. @param {SetupError} error */
function summarize(error) {
  if (!(error instanceof CommandFailed)) return error.message;
  return /\[ERROR\] (.+?)(?: -> \[Help \d+\])?$/m.exec(error.message)?.[1] ?? error.reason;
}
