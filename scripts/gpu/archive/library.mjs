/**
 * The training library that goes into the archive, fetched if need be, while this checkout goes on using its own. oneDNN stays
 * behind: it would add 27 MB, and only the CPU's training, which the GPU's is compared with, would be faster for it.
 */
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCommand } from '../../setup/command.mjs';
import { SetupError } from '../../setup/errors.mjs';
import { readJson, replaceFolder, temporarySibling, writeJson } from '../../setup/files.mjs';
import { variantIsReady } from '../../setup/library.mjs';
import { currentPath, nativeFolder, root, runtimeFolder } from '../../setup/paths.mjs';
import { readManifest } from '../../setup/pinned.mjs';

/**
 * @param {'cpu' | 'cuda'} device `cpu`: the library in use here, for an archive to rehearse with
 * @returns {Promise<{ variant: string, current: unknown }>} the folder below native/runtime, and what the archive's current.json says
 */
export async function libraryFor(device) {
  if (device === 'cpu') {
    const { kernels: _, ...current } = readJson(currentPath) ?? {};
    if (current.variant === undefined) throw new SetupError('there is no training library yet; run npx ortune setup');
    return { variant: current.variant, current };
  }
  const runtime = readJson(join(nativeFolder, 'runtime.json'));
  const variant = Object.keys(runtime.variants).find((name) => {
    const { platform, device } = runtime.variants[name];
    return platform === `${process.platform}-${process.arch}` && device === 'cuda';
  });
  if (variant === undefined) {
    throw new SetupError(
      `there is no pinned CUDA library for ${process.platform}-${process.arch}; make the archive on linux-x64.`,
    );
  }
  if (!variantIsReady(runtime, { wish: 'cuda', variant, reason: '' })) await fetchVariant(variant);
  const manifest = readManifest(variant);
  if (manifest === undefined) throw new SetupError(`setup has left no manifest for ${variant}`);
  const { library, version, source, files } = manifest;
  const current = {
    library: `${variant}/${library}`,
    variant,
    version,
    source,
    sha256: files[library]?.sha256,
    wish: 'cuda',
  };
  return { variant, current };
}

/** Lets setup do its work in a copy of what it reads, then takes the result over. @param {string} variant */
async function fetchVariant(variant) {
  const copy = mkdtempSync(join(tmpdir(), 'ortune-gpu-library-'));
  const result = temporarySibling(join(runtimeFolder, variant));
  try {
    mkdirSync(join(copy, 'native/runtime'), { recursive: true });
    const native = ['runtime.json', 'Cargo.toml', 'Cargo.lock', 'build.rs', 'src', 'ortune.node', 'runtime/addon.json'];
    for (const name of ['scripts', 'package.json', 'package-lock.json', ...native.map((file) => `native/${file}`)]) {
      if (existsSync(join(root, name))) cpSync(join(root, name), join(copy, name), { recursive: true });
    }
    symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
    const env = { ORTUNE_ONEDNN: '0', ORTUNE_HOME: '' };
    await runCommand(process.execPath, [join(copy, 'scripts/setup.mjs'), '--cuda'], { cwd: copy, env });
    // Another file system cannot be renamed across.
    cpSync(join(copy, 'native/runtime', variant), result, { recursive: true });
    replaceFolder(result, join(runtimeFolder, variant));
  } finally {
    rmSync(copy, { recursive: true, force: true });
    rmSync(result, { recursive: true, force: true });
  }
}

/** @param {string} folder the archive's native/runtime @param {string} variant @param {unknown} current */
export function putLibrary(folder, variant, current) {
  mkdirSync(folder, { recursive: true });
  cpSync(join(runtimeFolder, variant), join(folder, variant), { recursive: true });
  writeJson(join(folder, 'current.json'), current);
}
