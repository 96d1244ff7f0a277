/** Whether the dynamic linker finds CUDA's libraries, asked of the linker itself: no list of folders would be complete. */
import { runCommand } from './command.mjs';

// Node opens any shared library; one that is no addon is refused only after the linker has found it.
const program = `
const missing = process.argv.slice(1).filter((name) => {
  try { process.dlopen({ exports: {} }, name); } catch (error) { return error.message.startsWith(name + ': cannot open'); }
  return false;
});
console.log(JSON.stringify(missing));`;

/** @param {string[]} names such as `libcudart.so.13` @returns {Promise<string[]>} those that are not found */
export async function missingCudaLibraries(names) {
  return JSON.parse(await runCommand(process.execPath, ['--eval', program, ...names]));
}
