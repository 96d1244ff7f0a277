import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { findCudaGaps } from '../../scripts/setup/cuda.mjs';
import { Runtime } from '../../src/runtime/index.ts';
import { chooseDevice } from '../../src/training/device.ts';
import { batch } from './artifacts.ts';
import { lossOf, openSession } from './fixture.ts';

const library = fileURLToPath(new URL('../../native/runtime/linux-x86_64-gpu/libort_trainer.so.1', import.meta.url));
const gaps = existsSync(library) ? await findCudaGaps() : [];

test.skipIf(!existsSync(library))('the CUDA build trains on the CPU as well', async () => {
  const runtime = Runtime.load(library);
  expect(runtime.hasTraining).toBe(true);
  expect(runtime.providers).toContain('CUDAExecutionProvider');
  const { session } = await openSession();
  expect(lossOf(await session.trainStep(batch(2)))).toBeGreaterThan(0);
});

// With `npx ortune setup --cuda`, on a machine without a GPU: what the loader itself says is one of what we say.
test.skipIf(!existsSync(library) || gaps.length === 0)('the CUDA build says all that it misses here', async () => {
  const loaded = Runtime.load(library);
  const runtime = {
    variant: 'linux-x86_64-gpu',
    providers: loaded.providers,
    probeCuda: loaded.probeCuda.bind(loaded),
  };
  const machine = { runtime, findGaps: async () => gaps };
  const error = await chooseDevice('cuda', {}, machine).then(
    () => expect.unreachable('there is CUDA after all'),
    (refused: Error) => refused,
  );
  const said = await runtime.probeCuda();
  const file = /: (\S+): cannot open shared object file/.exec(said ?? '')?.[1];
  expect(error.message).toContain(file ?? 'NVIDIA driver');
  expect(await chooseDevice('auto', {}, machine)).toMatchObject({ device: 'cpu' });
  if (file) expect(loaded.cudaMemory()).toBe(null);
});
