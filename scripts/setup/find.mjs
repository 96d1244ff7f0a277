/** The native parts that may come from elsewhere than setup: the addon from a package, onnxruntime-node from the project. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { addonPath, root, servingFolder, version } from './paths.mjs';

/** @param {string} folder @param {string} request @returns {string | undefined} the file that a module in `folder` would get */
export function resolveFrom(folder, request) {
  try {
    return createRequire(join(folder, 'any.js')).resolve(request);
  } catch {
    return undefined;
  }
}

/**
 * The addon of the package for this platform, an optional dependency of the published ortune.
 * @returns {string | undefined} undefined as well where it is another version's, as of an update half done
 */
export function prebuiltAddon() {
  const name = `ortune-${process.platform}-${process.arch}${process.platform === 'linux' ? '-gnu' : ''}`;
  const manifest = resolveFrom(root, `${name}/package.json`);
  if (manifest === undefined) return undefined;
  const found = createRequire(import.meta.url)(manifest);
  return found.version === version ? resolveFrom(root, name) : undefined;
}

/**
 * The addon to load. One that setup has built goes first: it builds only where the package's does not load.
 * @returns {string | undefined}
 */
export const findAddon = () => (existsSync(addonPath) ? addonPath : prebuiltAddon());

/** onnxruntime-node's main file: the project's own, else setup's. @returns {string | undefined} */
export const findServing = () =>
  resolveFrom(root, 'onnxruntime-node') ?? resolveFrom(servingFolder, 'onnxruntime-node');
