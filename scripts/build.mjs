/**
 * `npm run build`: what the published package runs, in dist/: the TypeScript below src/ and onnx/ compiled, and beside it the
 * files that it reads.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { root } from './setup/paths.mjs';

const dist = join(root, 'dist');
// What has been deleted from the sources may not stay in the package.
rmSync(dist, { recursive: true, force: true });
const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
const { status } = spawnSync(process.execPath, [tsc, '--project', join(root, 'tsconfig.build.json')], {
  stdio: 'inherit',
});
if (status !== 0) process.exit(1);
for (const folder of ['src', 'onnx']) {
  cpSync(join(root, folder), join(dist, folder), {
    recursive: true,
    filter: (file) => !/\.ts$/.test(file) || statSync(file).isDirectory(),
  });
}
