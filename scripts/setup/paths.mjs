/**
 * Where things lie. What setup makes goes into a home of its own: in a clone `native/`, in folders that git ignores; for the
 * package from the registry a folder of the user's cache, as node_modules may be read-only, shared, or replaced at any time.
 */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
/** @type {{ version: string, devDependencies: Record<string, string> }} */
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
/** ortune's own version. */
export const version = manifest.version;
/** The version of onnxruntime-node that ortune is tested with. */
export const servingVersion = manifest.devDependencies['onnxruntime-node'];
/** Whether this is a package that npm put into node_modules, not a clone. */
export const isInstalled = basename(dirname(root)) === 'node_modules';

/** The addon's sources and `runtime.json`. */
export const nativeFolder = join(root, 'native');

/** @param {{ isInstalled: boolean, env: Record<string, string | undefined> }} from */
export function homeFolder({ isInstalled, env }) {
  if (env['ORTUNE_HOME']) return resolve(env['ORTUNE_HOME']);
  if (!isInstalled) return nativeFolder;
  return join(env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'ortune', version);
}

export const home = homeFolder({ isInstalled, env: process.env });
/** The addon as setup builds it. */
export const addonPath = join(home, 'ortune.node');
export const runtimeFolder = join(home, 'runtime');
/** Names the library in use. */
export const currentPath = join(runtimeFolder, 'current.json');
export const lockPath = join(runtimeFolder, '.lock');
/** Where setup installs onnxruntime-node for a project that lacks it. */
export const servingFolder = join(home, 'onnxruntime-node');
