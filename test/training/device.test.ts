import { describe, expect, it } from 'vitest';
import type { CudaGap } from '../../scripts/setup/cuda.mjs';
import type { CudaOptions } from '../../src/runtime/index.ts';
import { chooseDevice, type Machine } from '../../src/training/device.ts';

const DRIVER = { product: 'NVIDIA driver 580 or newer', missing: 'libcuda.so.1 not found', remedy: 'install it' };
const CUDNN = { product: 'cuDNN 9', missing: 'libcudnn.so.9 not found', remedy: 'install libcudnn9' };

/** A machine, and which options of the GPU were tried on it. */
function machine(
  variant: string,
  providers: string[],
  { gaps = [], obstacle = null }: { gaps?: CudaGap[]; obstacle?: string | null } = {},
): Machine & { tried: CudaOptions[] } {
  const tried: CudaOptions[] = [];
  const probeCuda = async (options: CudaOptions = {}) => {
    tried.push(options);
    return obstacle;
  };
  return { runtime: { variant, providers, probeCuda }, findGaps: async () => gaps, tried };
}
const GPU_BUILD = ['linux-x86_64-gpu', ['CUDAExecutionProvider', 'CPUExecutionProvider']] as const;
const gpuBuild = (found?: Parameters<typeof machine>[2]) => machine(GPU_BUILD[0], [...GPU_BUILD[1]], found);
const cpuBuild = (gaps: CudaGap[] = []) => machine('linux-x86_64', ['CPUExecutionProvider'], { gaps });

const refusal = (found: Machine, cuda?: CudaOptions) =>
  chooseDevice('cuda', cuda, found).then(
    () => expect.unreachable('it was accepted'),
    (error: Error) => error,
  );

describe('where CUDA can be used', () => {
  it.each(['auto', 'cuda'] as const)('%s takes the GPU, tried with the options that are given', async (choice) => {
    const found = gpuBuild();
    const cuda = { deviceId: 1, tf32: false };
    const reason = choice === 'cuda' ? 'as asked' : 'it can be used';
    expect(await chooseDevice(choice, cuda, found)).toEqual({ device: 'cuda', cuda, reason });
    expect(found.tried).toEqual([cuda]);
  });

  it('cpu asks nothing of the machine', async () => {
    const found = gpuBuild();
    expect(await chooseDevice('cpu', {}, found)).toEqual({ device: 'cpu', reason: 'as asked' });
    expect(found.tried).toEqual([]);
  });
});

describe('where CUDA lacks something', () => {
  it('--device cuda names all of it, with remedies', async () => {
    const found = gpuBuild({ gaps: [DRIVER, CUDNN] });
    expect(await refusal(found)).toMatchObject({ code: 'DEVICE' });
    expect((await refusal(found)).message.split('\n')).toEqual([
      '--device cuda: CUDA cannot be used here.',
      '- NVIDIA driver 580 or newer: libcuda.so.1 not found; install it',
      '- cuDNN 9: libcudnn.so.9 not found; install libcudnn9',
      expect.stringMatching(/^- .*LD_LIBRARY_PATH/),
      'Use --device cpu, or see npx ortune doctor.',
    ]);
    expect(found.tried).toEqual([]);
  });

  it('--device cuda names the CPU build and the rest at once', async () => {
    const { message } = await refusal(cpuBuild([CUDNN]));
    expect(message).toMatch(
      /- the training library in use is the CPU build \(linux-x86_64\); `npx ortune setup --cuda`/,
    );
    expect(message).toMatch(/\n- cuDNN 9: /);
    const arm = await refusal(machine('linux-arm64', ['CPUExecutionProvider']));
    expect(arm.message).toMatch(/no CUDA build is pinned for this platform/);
  });

  it('auto says so on one line, and that options of the GPU are not used', async () => {
    const missing = 'NVIDIA driver 580 or newer (libcuda.so.1 not found), cuDNN 9 (libcudnn.so.9 not found)';
    const gaps = [DRIVER, CUDNN];
    expect(await chooseDevice('auto', {}, gpuBuild({ gaps }))).toEqual({
      device: 'cpu',
      reason: `no CUDA: ${missing}`,
    });
    const { reason } = await chooseDevice('auto', { deviceId: 1 }, gpuBuild({ gaps }));
    expect(reason).toBe(`no CUDA: ${missing}; the options of the GPU are not used`);
    expect(await chooseDevice('auto', {}, cpuBuild())).toEqual({
      device: 'cpu',
      reason: 'no CUDA: the training library in use is the CPU build (linux-x86_64)',
    });
  });
});

describe('where all libraries are there', () => {
  const noGpu =
    'ONNX Runtime could not set CUDA options: Failed to parse provider option "device_id": ' +
    'CUDA failure 100: no CUDA-capable device is detected';

  it('a GPU that is not there is named with the reason', async () => {
    const { message } = await refusal(gpuBuild({ obstacle: noGpu }), { deviceId: 3 });
    expect(message).toContain('\n- GPU 3 cannot be used: CUDA failure 100: no CUDA-capable device is detected\n');
    const { reason } = await chooseDevice('auto', {}, gpuBuild({ obstacle: noGpu }));
    expect(reason).toBe('no CUDA: GPU 0 cannot be used: CUDA failure 100: no CUDA-capable device is detected');
  });

  it("a library of one's own is judged by its loader alone", async () => {
    const obstacle = 'Failed to load library: libcudnn.so.8: cannot open shared object file';
    const found = machine('custom', [...GPU_BUILD[1]], { gaps: [DRIVER], obstacle });
    const { message } = await refusal(found);
    expect(message).toContain(`\n- ${obstacle}\n- all that it misses: ldd`);
    expect(message).not.toContain('580');
  });
});
