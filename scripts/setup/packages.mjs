/** Step one: the npm packages of package-lock.json. */
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from './command.mjs';
import { readJson } from './files.mjs';
import { root } from './paths.mjs';
import { thisMachine } from './remedies.mjs';

/**
 * @typedef {{ version?: string, optional?: boolean, os?: string[], cpu?: string[], libc?: string[] }} LockedPackage
 * @typedef {Record<string, LockedPackage>} LockedPackages keyed by path, such as `node_modules/sharp`
 */

/** npm writes this record last, so it stands for a finished installation, whether by `npm ci` or by hand. */
const installedRecord = join(root, 'node_modules', '.package-lock.json');

/**
 * The packages that are locked for this platform but not installed in that version.
 * @param {LockedPackages} locked
 * @param {LockedPackages} installed
 * @param {{ os: string, cpu: string, libc: () => string }} platform `libc` is asked only when it matters: that is slow
 */
export function missingPackages(locked, installed, platform) {
  return Object.entries(locked)
    .filter(([path, entry]) => {
      if (path === '') return false;
      const present = installed[path];
      if (present) return present.version !== entry.version;
      if (!entry.optional) return true;
      // An optional package without an operating system is a dependency of one that another platform needs.
      return Boolean(
        entry.os?.includes(platform.os) &&
          (entry.cpu ?? [platform.cpu]).includes(platform.cpu) &&
          (entry.libc === undefined || entry.libc.includes(platform.libc())),
      );
    })
    .map(([path]) => path);
}

const libc = () => thisMachine().libc ?? '';

export function packagesAreCurrent() {
  const locked = readJson(join(root, 'package-lock.json'))?.packages ?? {};
  const installed = readJson(installedRecord)?.packages;
  if (installed === undefined) return false;
  if (missingPackages(locked, installed, { os: process.platform, cpu: process.arch, libc }).length > 0) return false;
  return Object.keys(installed).every((path) => existsSync(join(root, path)));
}

export async function installPackages() {
  // npm deletes the old packages one by one; killed then, it could leave this record and only half of what it lists.
  rmSync(installedRecord, { force: true });
  await runCommand('npm', ['ci', '--include=dev', '--include=optional', '--ignore-scripts', '--no-audit', '--no-fund']);
}
