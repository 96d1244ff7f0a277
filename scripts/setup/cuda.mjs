/** What CUDA needs of this machine, what of it is missing, and how to get it; for the doctor and for training itself. */
import { join } from 'node:path';
import { findNvidiaDriver } from './choice.mjs';
import { runCommand } from './command.mjs';
import { readJson } from './files.mjs';
import { nativeFolder } from './paths.mjs';

/**
 * @typedef {{ name: string, libraries: string[], remedy: string }} Product
 * @typedef {{ driver: number, products: Product[] }} CudaRequirements of `native/runtime.json`; `driver`: the least version
 * @typedef {{ product: string, missing: string, remedy: string }} CudaGap one thing that is missing, in words
 * @typedef {{ found: string, version?: string }} Driver
 */

// Node opens any shared library; one that is no addon is refused only after the linker has found it and all that it needs.
const program = `
const missing = process.argv.slice(1).map((name) => {
  try { process.dlopen({ exports: {} }, name); } catch (error) {
    return [name, /^(\\S+): cannot open shared object file/.exec(error.message)?.[1]];
  }
  return [name];
});
console.log(JSON.stringify(Object.fromEntries(missing.filter(([, file]) => file))));`;

/**
 * Asks the dynamic linker itself: no list of folders would be complete.
 * @param {string[]} names such as `libcudart.so.13`
 * @returns {Promise<Record<string, string>>} for each that cannot be opened the file that is not found: itself, or one it needs
 */
export async function missingLibraries(names) {
  return JSON.parse(await runCommand(process.execPath, ['--eval', program, ...names]));
}

/**
 * All that the pinned CUDA library would miss here, not only what the linker would stop at.
 * @param {object} [machine] for tests
 * @param {CudaRequirements} [machine.requirements]
 * @param {(names: string[]) => Promise<Record<string, string>>} [machine.findMissing]
 * @param {() => Driver | undefined} [machine.findDriver]
 * @returns {Promise<CudaGap[]>} none when the machine has everything, as far as this can tell
 */
export async function findCudaGaps({
  requirements = readJson(join(nativeFolder, 'runtime.json')).cuda,
  findMissing = missingLibraries,
  findDriver = findNvidiaDriver,
} = {}) {
  const missing = await findMissing(requirements.products.flatMap(({ libraries }) => libraries));
  const gaps = requirements.products.flatMap(({ name, libraries, remedy }) => {
    const files = new Set(libraries.flatMap((library) => missing[library] ?? []));
    return files.size === 0 ? [] : [{ product: name, missing: `${[...files].join(', ')} not found`, remedy }];
  });
  const version = findDriver()?.version;
  const [driver] = requirements.products;
  if (version !== undefined && Number.parseInt(version, 10) < requirements.driver && driver) {
    const others = gaps.filter(({ product }) => product !== driver.name);
    return [{ product: driver.name, missing: `driver ${version} is older`, remedy: driver.remedy }, ...others];
  }
  return gaps;
}

/** One line for each. @param {CudaGap[]} gaps @returns {string[]} */
export function describeGaps(gaps) {
  const lines = gaps.map(({ product, missing, remedy }) => `${product}: ${missing}; ${remedy}`);
  // The driver's own folder is always on the linker's list; that of a toolkit that was unpacked by hand is not.
  if (gaps.length > 0)
    lines.push('What is installed but not found: add its folder to LD_LIBRARY_PATH before Node starts.');
  return lines;
}

/** `NVIDIA driver 580 or newer (libcuda.so.1 not found), ...` @param {CudaGap[]} gaps */
export const listGaps = (gaps) => gaps.map(({ product, missing }) => `${product} (${missing})`).join(', ');
