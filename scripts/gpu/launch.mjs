/**
 * Starts the GPU check with CUDA's folders on LD_LIBRARY_PATH, which the linker reads only when a process starts. Plain Node,
 * with nothing but this repository: the archive's `run.sh` starts it, and so does `npm run gpu-check`.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { readJson } from '../setup/files.mjs';
import { nativeFolder, root } from '../setup/paths.mjs';
import { askLinker, askPython, findLibraries, libraryPath, wantedLibraries } from './find-cuda.mjs';

const { needed, helpers } = wantedLibraries(readJson(join(nativeFolder, 'runtime.json')));
const found = findLibraries([...needed, ...helpers], {
  root: '/',
  env: process.env,
  own: join(root, 'cuda'),
  linkerFolders: askLinker,
  pythonFolders: askPython,
});
console.log('CUDA on this machine:');
for (const { name, folder, otherVersions } of found) {
  const missing = helpers.includes(name) ? 'not found; some of cuDNN may need it' : 'NOT FOUND';
  const others = otherVersions.length > 0 ? `; there is ${otherVersions.slice(0, 3).join(', ')}` : '';
  console.log(`  ${name.padEnd(18)} ${folder ?? `${missing}${others}`}`);
}
const path = libraryPath(found, process.env['LD_LIBRARY_PATH']);
console.log(`  LD_LIBRARY_PATH=${path}\n`);

const tsx = pathToFileURL(join(root, 'node_modules/tsx/dist/loader.mjs')).href;
const program = fileURLToPath(new URL('../gpu-check.ts', import.meta.url));
const child = spawn(process.execPath, ['--import', tsx, program, ...process.argv.slice(2)], {
  stdio: 'inherit',
  env: { ...process.env, ...(path !== '' && { LD_LIBRARY_PATH: path }) },
});
for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM'])) process.on(signal, () => child.kill(signal));
child.on('error', (error) => {
  console.error(`gpu-check: ${error.message}`);
  process.exitCode = 1;
});
child.on('close', (code, signal) => {
  if (signal !== null) console.error(`gpu-check: ended by ${signal}`);
  process.exitCode = code ?? 1;
});
