/** Which folders of node_modules a program needs that imports some packages. */
import { existsSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { SetupError } from '../../setup/errors.mjs';
import { readJson } from '../../setup/files.mjs';

/**
 * The packages and all that they depend on, found as Node finds them. Optional ones that are not installed belong to other
 * platforms.
 * @param {string} root the folder that node_modules lies in
 * @param {string[]} names
 * @returns {string[]} folders relative to `root`, such as `node_modules/yargs/node_modules/ansi-regex`
 */
export function packageFolders(root, names) {
  const folders = new Set();
  /** @param {string} name @param {string} from @param {boolean} optional */
  const add = (name, from, optional) => {
    const folder = resolvePackage(root, name, from);
    if (folder === undefined) {
      if (optional) return;
      throw new SetupError(
        `${name}, which ${relative(root, from) || 'package.json'} needs, is not installed; run npx ortune setup`,
      );
    }
    if (folders.has(folder)) return;
    folders.add(folder);
    const {
      dependencies = {},
      optionalDependencies = {},
      peerDependencies = {},
    } = readJson(join(folder, 'package.json'));
    for (const dependency of Object.keys(dependencies)) add(dependency, folder, dependency in optionalDependencies);
    for (const dependency of Object.keys({ ...optionalDependencies, ...peerDependencies }))
      add(dependency, folder, true);
  };
  for (const name of names) add(name, root, false);
  // A package inside another's folder is copied with it.
  const all = [...folders].sort();
  return all
    .filter((folder) => !all.some((other) => folder.startsWith(`${other}/`)))
    .map((folder) => relative(root, folder));
}

/** @param {string} root @param {string} name @param {string} from */
function resolvePackage(root, name, from) {
  for (let folder = from; folder.startsWith(root); folder = dirname(folder)) {
    const candidate = join(folder, 'node_modules', name);
    if (existsSync(join(candidate, 'package.json'))) return candidate;
  }
  return undefined;
}
