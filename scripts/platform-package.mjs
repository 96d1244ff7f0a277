/**
 * `node scripts/platform-package.mjs OUT`: the npm package with this machine's addon, from its description in npm/, as the folder
 * OUT/ortune-PLATFORM. It bears ortune's own version; the published ortune names it as an optional dependency.
 */
import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { addonIsCurrent } from './setup/addon.mjs';
import { readJson, writeJson } from './setup/files.mjs';
import { addonPath, root, version } from './setup/paths.mjs';

const [out] = process.argv.slice(2);
const about = readJson(join(root, 'npm', `${process.platform}-${process.arch}-gnu`, 'package.json'));
const problem =
  out === undefined
    ? 'expected a folder to write to'
    : about === undefined
      ? `no package is described in npm/ for ${process.platform}-${process.arch}`
      : addonIsCurrent()
        ? undefined
        : 'the addon is not built from the present native/src; run npx ortune setup';
if (out === undefined || problem !== undefined) {
  console.error(`platform-package: ${problem}`);
  process.exit(1);
}
const folder = join(out, about.name);
mkdirSync(folder, { recursive: true });
copyFileSync(join(root, 'LICENSE'), join(folder, 'LICENSE'));
copyFileSync(addonPath, join(folder, 'ortune.node'));
writeJson(join(folder, 'package.json'), { ...about, version });
console.log(folder);
