import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type * as Cuda from '../../scripts/setup/cuda.mjs';
import { importSetup, root } from './working-copy.ts';

const { describeGaps, findCudaGaps, listGaps, missingLibraries } = await importSetup<typeof Cuda>('cuda.mjs');
const { cuda: requirements } = JSON.parse(readFileSync(join(root, 'native/runtime.json'), 'utf8')) as {
  cuda: Cuda.CudaRequirements;
};
const all = requirements.products.flatMap(({ libraries }) => libraries);

/** A machine that has all libraries but these, and a driver of this version. */
const machine = (lacks: Record<string, string>, version?: string) => ({
  findMissing: async () => lacks,
  findDriver: () => (version === undefined ? undefined : { found: 'module', version }),
});
const itself = (...names: string[]) => Object.fromEntries(names.map((name) => [name, name]));

describe('what CUDA lacks', () => {
  // `readelf -d libonnxruntime_providers_cuda.so` of 1.24.1, and the driver's library, which the CUDA runtime opens itself.
  test('is looked for among what the pinned library needs', () => {
    const needed = ['libcublasLt.so.13', 'libcublas.so.13', 'libcufft.so.12', 'libcudart.so.13', 'libcudnn.so.9'];
    expect(all.toSorted()).toEqual([...needed, 'libcuda.so.1'].toSorted());
  });

  test('is nothing where all is there', async () => {
    expect(await findCudaGaps(machine({}, '580.65.06'))).toEqual([]);
    expect(describeGaps([])).toEqual([]);
  });

  test('is told whole, by product', async () => {
    const gaps = await findCudaGaps(machine(itself(...all)));
    expect(gaps.map(({ product }) => product)).toEqual(requirements.products.map(({ name }) => name));
    const lines = describeGaps(gaps).join('\n');
    for (const name of all) expect(lines).toContain(name);
    expect(lines).toMatch(/nvidia-driver-580.*cuda-libraries-13-0.*libcudnn9-cuda-13.*LD_LIBRARY_PATH/s);
    expect(listGaps(gaps)).not.toContain('\n');
  });

  test('may be what a library needs in turn, told once', async () => {
    const [gap, ...others] = await findCudaGaps(
      machine({ 'libcublas.so.13': 'libcublasLt.so.13', 'libcublasLt.so.13': 'libcublasLt.so.13' }),
    );
    expect(gap).toMatchObject({ product: 'CUDA 13', missing: 'libcublasLt.so.13 not found' });
    expect(others).toEqual([]);
  });

  test('may be a newer driver', async () => {
    const [gap, ...others] = await findCudaGaps(machine({}, '575.51.03'));
    expect(gap).toMatchObject({ product: 'NVIDIA driver 580 or newer', missing: 'driver 575.51.03 is older' });
    expect(others).toEqual([]);
  });
});

test.skipIf(process.platform !== 'linux')('the dynamic linker itself is asked', async () => {
  const names = ['libc.so.6', 'libno-such-library.so.7', 'libno-other.so'];
  expect(await missingLibraries(names)).toEqual(itself('libno-such-library.so.7', 'libno-other.so'));
});
