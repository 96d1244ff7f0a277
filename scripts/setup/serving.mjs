/**
 * onnxruntime-node, for projects that lack it. It is no dependency of the published package, because its own install script
 * fetches CUDA libraries from NuGet on Linux on x64, and the whole `npm install` fails where that host cannot be reached.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { runCommand } from './command.mjs';
import { replaceFolder, temporarySibling } from './files.mjs';
import { home, servingFolder, servingVersion } from './paths.mjs';
import { networkHint } from './remedies.mjs';

export async function installServing() {
  const work = temporarySibling(servingFolder);
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  try {
    // Without --prefix npm would climb to a package.json above.
    const args = ['install', '--prefix', work, '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund'];
    await runCommand('npm', [...args, `onnxruntime-node@${servingVersion}`], {
      cwd: dirname(work),
      hint: (output) => networkHint(output, 'npm config set https-proxy http://HOST:PORT', home),
    });
    replaceFolder(work, servingFolder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
