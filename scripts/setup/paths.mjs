/** Where setup reads and writes. Everything it makes lies in folders that git ignores. */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
export const nativeFolder = join(root, 'native');
export const addonPath = join(nativeFolder, 'ortune.node');
export const runtimeFolder = join(nativeFolder, 'runtime');
/** Names the library in use; read by `src/runtime` as well. */
export const currentPath = join(runtimeFolder, 'current.json');
export const lockPath = join(runtimeFolder, '.lock');
