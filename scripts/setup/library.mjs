/** Step three: the training library, pinned from Maven or the user's own, under native/runtime/<variant>/. */
import {
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { CommandFailed, SetupError } from './errors.mjs';
import { readJson, writeJson } from './files.mjs';
import { currentPath } from './paths.mjs';
import { isComplete, makeFolder, readManifest, unpackPinned } from './pinned.mjs';
import { probeLibrary } from './probe.mjs';
import { loadSolutions, withSolutions } from './remedies.mjs';
import { replaceSoname } from './soname.mjs';

/**
 * @typedef {import('./choice.mjs').Runtime} Runtime
 * @typedef {import('./choice.mjs').Choice} Choice
 * @typedef {import('./pinned.mjs').Manifest} Manifest
 */

const libraryName = process.platform === 'darwin' ? 'libort_trainer.dylib' : 'libort_trainer.so.1';

/** What the variant's folder must have been made from to be up to date. @param {Runtime} runtime @param {Choice} choice */
function currentOrigin(runtime, choice) {
  if (choice.library === undefined) return runtime.variants[choice.variant]?.files;
  const { size, mtimeMs } = statSync(choice.library, { throwIfNoEntry: false }) ?? {};
  return { path: choice.library, size, mtimeMs };
}

/** Whether the variant's files lie there, by size; `npx ortune doctor` compares the checksums. @param {Runtime} runtime @param {Choice} choice */
export function variantIsReady(runtime, choice) {
  const manifest = readManifest(choice.variant);
  if (manifest === undefined) return false;
  // A library of the user's own that has been deleted since goes on living in its copy.
  const deleted = choice.library !== undefined && choice.library === manifest.source && !existsSync(choice.library);
  return (
    isComplete(choice.variant, manifest) &&
    (deleted || isDeepStrictEqual(manifest.origin, currentOrigin(runtime, choice)))
  );
}

/** @param {Manifest} manifest @param {Choice} choice */
function describeCurrent(manifest, { variant, wish }) {
  const { library, version, source, files } = manifest;
  return { library: `${variant}/${library}`, variant, version, source, sha256: files[library]?.sha256, wish };
}

/** @param {Runtime} runtime @param {Choice} choice */
export function libraryIsCurrent(runtime, choice) {
  const manifest = readManifest(choice.variant);
  if (manifest === undefined || !variantIsReady(runtime, choice)) return false;
  // What is said of oneDNN is another step's.
  const { kernels: _, ...current } = readJson(currentPath) ?? {};
  return isDeepStrictEqual(current, describeCurrent(manifest, choice));
}

/** Makes the variant's folder unless it is ready, then names it in current.json. @param {Runtime} runtime @param {Choice} choice */
export async function prepareLibrary(runtime, choice) {
  const { variant } = choice;
  if (!variantIsReady(runtime, choice)) {
    await makeFolder(variant, async (work) => {
      const source = choice.library ?? 'maven';
      const origin = currentOrigin(runtime, choice);
      if (choice.library !== undefined) copyOwn(choice.library, work);
      else {
        await unpackPinned(runtime.artifact, variant, runtime.variants[variant]?.files ?? {}, work);
        giveOwnName(join(work, 'libonnxruntime.so.1'), join(work, libraryName));
        rmSync(join(work, 'libonnxruntime.so.1'));
      }
      const version = await checkTraining(join(work, libraryName), source);
      return { library: libraryName, version, source, origin };
    });
  }
  const current = describeCurrent(/** @type {Manifest} */ (readManifest(variant)), choice);
  writeJson(currentPath, { ...current, kernels: readJson(currentPath)?.kernels });
}

/** @param {string} library @param {string} work */
function copyOwn(library, work) {
  const stat = statSync(library, { throwIfNoEntry: false });
  if (!stat?.isFile()) {
    const found = stat === undefined ? 'there is no such file' : 'that is not a file';
    throw new SetupError(
      `ORTUNE_ORT_LIBRARY=${library}: ${found}. Set it to the shared library itself (libonnxruntime.so.1.24.1).`,
    );
  }
  if (!isSharedLibrary(library)) {
    throw new SetupError(
      `ORTUNE_ORT_LIBRARY=${library}: this is not a shared library for ${process.platform}-${process.arch}. Set it to libonnxruntime itself.`,
    );
  }
  giveOwnName(library, join(work, libraryName));
  for (const name of readdirSync(dirname(library))) {
    if (/^libonnxruntime_providers_\w+\.(so|dylib)$/.test(name)) {
      copyFileSync(join(dirname(library), name), join(work, name), constants.COPYFILE_FICLONE);
    }
  }
}

/** Whether the file's header says so, and for this processor. @param {string} file */
function isSharedLibrary(file) {
  const start = Buffer.alloc(20);
  const descriptor = openSync(file, 'r');
  readSync(descriptor, start, 0, start.length, 0);
  closeSync(descriptor);
  if (process.platform !== 'linux') return start.readUInt32LE(0) === 0xfeedfacf; // Mach-O, 64 bits
  // ELF: magic, at byte 16 the type (3, shared object), at byte 18 the machine (62 x86-64, 183 AArch64).
  const isElf = start.toString('latin1', 0, 4) === '\x7fELF';
  return isElf && start.readUInt16LE(16) === 3 && start.readUInt16LE(18) === (process.arch === 'arm64' ? 183 : 62);
}

/** @param {string} from @param {string} to */
function giveOwnName(from, to) {
  const bytes = readFileSync(from);
  // A Mach-O install name is part of what is signed: it stays as the user's build made it.
  if (process.platform === 'linux' && !bytes.includes('libort_trainer.so')) replaceSoname(bytes, from);
  writeFileSync(to, bytes, { mode: 0o755 });
}

/** @param {string} library @param {string} source @returns {Promise<string>} its version */
async function checkTraining(library, source) {
  const facts = await probeLibrary(library).catch((error) => {
    if (!(error instanceof CommandFailed)) throw error;
    const problem = `the training library (${source}) cannot be loaded: ${error.reason}`;
    const solutions = loadSolutions(error.reason);
    throw new SetupError(solutions.length === 0 ? problem : withSolutions(problem, solutions));
  });
  if (!facts.hasTraining) {
    throw new SetupError(
      `${source}: this is ONNX Runtime ${facts.version} without the training API, so it cannot train. Unset ORTUNE_ORT_LIBRARY to use the ` +
        'pinned library, or build ONNX Runtime with --enable_training_apis.',
    );
  }
  return facts.version;
}
