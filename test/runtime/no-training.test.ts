import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { CheckpointState, Runtime } from '../../src/runtime/index.ts';
import { artifacts } from './artifacts.ts';
import { failure } from './fixture.ts';

const onLinuxX64 = process.platform === 'linux' && process.arch === 'x64';

/** The library that onnxruntime-node serves with is built without training. */
function servingLibrary(): string {
  const main = createRequire(import.meta.url).resolve('onnxruntime-node');
  const binaries = join(dirname(main), '..', 'bin');
  const [version = ''] = readdirSync(binaries);
  return join(binaries, version, 'linux', 'x64', 'libonnxruntime.so.1');
}

test.skipIf(!onLinuxX64)('a build without the training API can be looked at, but not trained with', async () => {
  const runtime = Runtime.load(servingLibrary());
  expect(runtime).toMatchObject({ hasTraining: false, variant: 'custom' });
  expect(runtime.providers).toContain('CPUExecutionProvider');
  const error = await failure(() => CheckpointState.load(artifacts().checkpoint));
  expect(error).toMatchObject({ code: 'NO_TRAINING_API' });
  expect(error.message).toMatch(/this ONNX Runtime build has no training API.*libonnxruntime\.so.*npx ortune setup/);
  expect(await failure(() => runtime.setSeed(1))).toMatchObject({ code: 'NO_TRAINING_API' });
});
