#!/usr/bin/env node
/**
 * `npm run gpu-archive`: all that `npm run gpu-check` needs in one file, for a machine with a GPU and without a network.
 */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { libraryFor, putLibrary } from './gpu/archive/library.mjs';
import { packageFolders } from './gpu/archive/packages.mjs';
import { parseSize, splitFile } from './gpu/archive/split.mjs';
import { addonIsCurrent } from './setup/addon.mjs';
import { runCommand, watchSignals } from './setup/command.mjs';
import { Interrupted, SetupError } from './setup/errors.mjs';
import { readJson, sha256File, temporarySibling } from './setup/files.mjs';
import { addonPath, nativeFolder, root } from './setup/paths.mjs';

const help = `Packs the GPU check for a machine without network: Node, packages, sources, addon, training library, run.sh.

  npm run gpu-archive -- --out FILE.tar.gz [OPTION]

  --out FILE.tar.gz   file to write
  --data FOLDER       pictures to bring along, as data/ beside run.sh
  --split SIZE        cut the file into parts of this size, such as 60M
  --device cpu        bring the training library in use here instead of the CUDA one, to rehearse
  --help              print this`;

const SOURCES = ['src', 'onnx', 'scripts', 'package.json', 'LICENSE', 'tsconfig.json'];
/** What Node links with beyond the C library. */
const CPP_RUNTIME = ['libstdc++.so.6', 'libgcc_s.so.1'];
const NAME = 'ortune-gpu';

function parse() {
  try {
    const { values } = parseArgs({
      options: {
        out: { type: 'string' },
        data: { type: 'string' },
        split: { type: 'string' },
        device: { type: 'string', default: 'cuda' },
        help: { type: 'boolean', default: false },
      },
    });
    return values;
  } catch (error) {
    throw new SetupError(`${/** @type {Error} */ (error).message} See --help.`);
  }
}

async function main() {
  const { out, data, split, device, help: asked } = parse();
  if (asked) return console.log(help);
  if (!out?.endsWith('.tar.gz'))
    throw new SetupError(`--out: expected a name that ends in .tar.gz, received ${out ?? 'none'}`);
  if (device !== 'cpu' && device !== 'cuda') throw new SetupError(`--device: expected cpu or cuda, received ${device}`);
  if (data !== undefined && !existsSync(data))
    throw new SetupError(`--data: expected a folder of pictures, but there is no ${data}`);
  if (!addonIsCurrent())
    throw new SetupError('the addon is not built from the present native/src; run npx ortune setup');
  const size = split === undefined ? undefined : parseSize(split);
  const file = resolve(out);
  const started = performance.now();
  // Ctrl-C stops tar or setup and lets the half-done work be deleted.
  watchSignals(() => {});
  const { variant, current } = await libraryFor(device);
  const work = mkdtempSync(join(tmpdir(), 'ortune-gpu-archive-'));
  try {
    fill(join(work, NAME), data);
    putLibrary(join(work, NAME, 'native/runtime'), variant, current);
    mkdirSync(dirname(file), { recursive: true });
    const temporary = temporarySibling(file);
    try {
      await runCommand('tar', ['-czf', temporary, '-C', work, NAME]);
      renameSync(temporary, file);
    } finally {
      rmSync(temporary, { force: true });
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  console.log(`${out}: ${megabytes(file)} in ${seconds} s, with ${variant}; SHA-256 ${sha256File(file)}`);
  const name = basename(file);
  if (size !== undefined) {
    const parts = splitFile(file, size);
    rmSync(file);
    console.log(
      `In ${parts.length} parts, ${basename(parts[0] ?? '')} to ${basename(parts.at(-1) ?? '')}. On the other machine:`,
    );
    console.log(`  cat ${name}.[0-9]* > ${name}`);
  } else console.log('On the other machine:');
  console.log(`  tar -xzf ${name} && ${NAME}/run.sh${data === undefined ? '' : ` --data ${NAME}/data`}`);
}

/** Everything but the library. @param {string} folder @param {string | undefined} data */
function fill(folder, data) {
  for (const name of SOURCES) cpSync(join(root, name), join(folder, name), { recursive: true });
  const { dependencies } = readJson(join(root, 'package.json'));
  // The sources are TypeScript.
  const names = [...Object.keys(dependencies), 'tsx'];
  for (const path of packageFolders(root, names)) {
    // Maps and type declarations are for people who change the packages.
    const filter = (/** @type {string} */ from) => !/\.(map|d\.[cm]?ts|md)$/.test(from);
    cpSync(join(root, path), join(folder, path), { recursive: true, filter });
  }
  mkdirSync(join(folder, 'native'), { recursive: true });
  copyFileSync(addonPath, join(folder, 'native/ortune.node'));
  copyFileSync(join(nativeFolder, 'runtime.json'), join(folder, 'native/runtime.json'));
  mkdirSync(join(folder, 'bin'));
  copyFileSync(process.execPath, join(folder, 'bin/node'));
  mkdirSync(join(folder, 'lib'));
  for (const path of cppRuntime()) copyFileSync(path, join(folder, 'lib', basename(path)));
  mkdirSync(join(folder, 'cuda'));
  copyFileSync(join(root, 'scripts/gpu/archive/run.sh'), join(folder, 'run.sh'));
  for (const program of ['run.sh', 'bin/node']) chmodSync(join(folder, program), 0o755);
  if (data !== undefined) cpSync(resolve(data), join(folder, 'data'), { recursive: true, dereference: true });
}

/** @returns {string[]} where the linker has them for this Node */
function cppRuntime() {
  const { stdout = '' } = spawnSync('ldd', [process.execPath], { encoding: 'utf8' });
  return CPP_RUNTIME.flatMap(
    (name) =>
      stdout
        .split('\n')
        .find((line) => line.includes(name))
        ?.match(/=> (\S+)/)?.[1] ?? [],
  );
}

const megabytes = (/** @type {string} */ file) => `${(statSync(file).size / 1e6).toFixed(1)} MB`;

try {
  await main();
} catch (error) {
  const expected = error instanceof SetupError || (error instanceof Error && 'syscall' in error);
  if (!expected) throw error;
  console.error(`gpu-archive: ${error.message}`);
  process.exitCode = error instanceof Interrupted ? error.exitCode : 1;
}
