// Served and trained in one process, the serving library first: both must keep to their own symbols.

import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as serving from 'onnxruntime-node';
import { expect, test } from 'vitest';
import { buildResNet, encodeModel } from '../../onnx/index.ts';
import { loadAddon } from '../../src/runtime/addon.ts';
import { locateLibrary, Runtime } from '../../src/runtime/index.ts';
import { batch } from './artifacts.ts';
import { failure, lossOf, openSession, temporaryFolder } from './fixture.ts';

const addon = fileURLToPath(new URL('../../native/ortune.node', import.meta.url));

test('a file that is no ONNX Runtime is refused with the reason', async () => {
  const missing = await failure(() => Runtime.load('/nowhere/libonnxruntime.so'));
  expect(missing).toMatchObject({ code: 'RUNTIME_NOT_LOADED' });
  expect(missing.message).toMatch(/\/nowhere\/libonnxruntime\.so: No such file/);

  const text = join(temporaryFolder(), 'text.so');
  writeFileSync(text, 'no library');
  expect((await failure(() => Runtime.load(text))).message).toMatch(/text\.so: .*invalid ELF header|file too short/);

  expect((await failure(() => Runtime.load(addon))).message).toContain('has no OrtGetApiBase');
});

test('tells what it loaded, and loads once', async () => {
  const runtime = Runtime.load();
  const { libraryPath, variant } = locateLibrary();
  expect(runtime).toMatchObject({ libraryPath, variant, hasTraining: true });
  expect(runtime.version).toMatch(/^1\.\d+\.\d+$/);
  expect(runtime.providers).toContain('CPUExecutionProvider');
  expect(Runtime.load()).toBe(runtime);
  expect(Runtime.load(libraryPath)).toBe(runtime);

  const other = join(temporaryFolder(), 'libother.so');
  copyFileSync(libraryPath, other);
  const refused = await failure(() => Runtime.load(other));
  expect(refused).toMatchObject({ code: 'RUNTIME_ALREADY_LOADED' });
  expect(refused.message).toContain(libraryPath);
  expect(refused.message).toContain(other);
});

test('takes an integer as seed', async () => {
  const runtime = Runtime.load();
  expect(() => runtime.setSeed(1)).not.toThrow();
  expect(await failure(() => runtime.setSeed(0.5))).toMatchObject({ code: 'INVALID_ARGUMENT' });
});

test('says why there is no CUDA', async () => {
  const runtime = Runtime.load();
  const reason = await runtime.probeCuda({ deviceId: 0 });
  // A GPU build on a machine with a GPU has no reason to give; a CPU build has one without source locations.
  if (!runtime.providers.includes('CUDAExecutionProvider')) {
    expect(reason).toBe(
      'ONNX Runtime could not make CUDA options: CUDA execution provider is not enabled in this build.',
    );
  } else {
    expect(reason === null || reason.length > 0).toBe(true);
  }
});

test('tells the memory of a GPU, once CUDA is loaded', async () => {
  const runtime = Runtime.load();
  const works = (await runtime.probeCuda()) === null;
  if (works) {
    const memory = runtime.cudaMemory();
    expect(memory?.free).toBeGreaterThan(0);
    expect(memory?.total).toBeGreaterThanOrEqual(memory?.free ?? 0);
  } else if (!runtime.providers.includes('CUDAExecutionProvider')) {
    expect(runtime.cudaMemory()).toBe(null);
  }
  expect(await failure(() => runtime.cudaMemory(-1))).toMatchObject({ code: 'INVALID_ARGUMENT' });
});

test('training and onnxruntime-node live in one process', async () => {
  const model = buildResNet({ width: 0.125, imageSize: 32, classes: 5 });
  const server = await serving.InferenceSession.create(encodeModel(model));
  const { session } = await openSession();
  const { image, label } = batch(2);
  expect(lossOf(await session.trainStep({ image, label }))).toBeGreaterThan(0);
  const { logits } = await server.run({ image: new serving.Tensor('uint8', image.data, image.dims) });
  expect(logits?.dims).toEqual([2, 5]);
});

test('an addon that is missing or does not load comes with remedies', async () => {
  const folder = temporaryFolder();
  const missing = await failure(() => loadAddon(() => undefined));
  expect(missing).toMatchObject({ code: 'SETUP_NEEDED' });
  expect(missing.message).toContain('npx ortune setup');

  writeFileSync(join(folder, 'broken.node'), 'no addon');
  const broken = await failure(() => loadAddon(() => join(folder, 'broken.node')));
  expect(broken).toMatchObject({ code: 'ADDON_NOT_LOADED' });
  expect(broken.message).toMatch(
    /broken\.node.*\nPossible solutions:\n {2}- .*rm .*broken\.node, then npx ortune setup\n/s,
  );
});
