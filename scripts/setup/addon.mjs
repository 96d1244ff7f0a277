/** Step two: the native addon, that of the platform's package where it loads, else built by cargo from native/src. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from './command.mjs';
import { SetupError } from './errors.mjs';
import { readJson, replaceFile, sha256File, sha256Tree, writeJson } from './files.mjs';
import { prebuiltAddon } from './find.mjs';
import { addonPath, home, isInstalled, nativeFolder, runtimeFolder } from './paths.mjs';
import { networkHint } from './remedies.mjs';

const stampPath = join(runtimeFolder, 'addon.json');
const targetFolder = join(home, 'target');

const hashSources = () =>
  sha256Tree(nativeFolder, ['Cargo.toml', 'Cargo.lock', 'build.rs', 'rust-toolchain.toml', '.cargo', 'src']);

/** The stamp holds both ends: sources alone would take the addon of other sources for theirs after a kill in between. */
export function addonIsCurrent() {
  const stamp = readJson(stampPath);
  return (
    stamp !== undefined &&
    stamp.platform === `${process.platform}-${process.arch}` &&
    existsSync(addonPath) &&
    stamp.sources === hashSources() &&
    stamp.addon === sha256File(addonPath)
  );
}

/** The platform package's addon, if it loads: with a C library older than its own it does not. */
export function usablePrebuilt() {
  const file = existsSync(addonPath) ? undefined : prebuiltAddon();
  if (file === undefined) return undefined;
  const program = 'process.dlopen({ exports: {} }, process.argv[1])';
  return spawnSync(process.execPath, ['--eval', program, file]).status === 0 ? file : undefined;
}

export async function buildAddon() {
  const sources = hashSources();
  const args = [
    'build',
    '--release',
    '--locked',
    '--manifest-path',
    join(nativeFolder, 'Cargo.toml'),
    '--target-dir',
    targetFolder,
  ];
  await runCommand('cargo', args, {
    hint: (output) =>
      /linker `[^`]+` not found/.test(output)
        ? '\nRust links with a C compiler: install one (Debian, Ubuntu: apt install build-essential; macOS: xcode-select --install).'
        : networkHint(output, 'HTTPS_PROXY=http://HOST:PORT npx ortune setup', home),
  });
  const built = join(targetFolder, 'release', `libortune_native.${process.platform === 'darwin' ? 'dylib' : 'so'}`);
  if (!existsSync(built))
    throw new SetupError(`cargo succeeded, but ${built} is not there; is another build target configured for cargo?`);
  rmSync(stampPath, { force: true });
  replaceFile(addonPath, (temporary) => copyFileSync(built, temporary));
  // Of a clone it makes the next build quick; an installed package builds once.
  if (isInstalled) rmSync(targetFolder, { recursive: true, force: true });
  writeJson(stampPath, { sources, addon: sha256File(addonPath), platform: `${process.platform}-${process.arch}` });
}
