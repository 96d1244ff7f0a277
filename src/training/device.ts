import { type CudaGap, describeGaps, findCudaGaps, listGaps } from '#setup/cuda.mjs';
import { OrtuneError } from '../errors.ts';
import { type CudaOptions, Runtime } from '../runtime/index.ts';

/** `auto` takes a GPU where one can be used. */
export type DeviceChoice = 'auto' | 'cpu' | 'cuda';

export interface Device {
  readonly device: 'cpu' | 'cuda';
  /** With `device` `'cuda'` only. */
  readonly cuda?: CudaOptions;
  /** Why this one. */
  readonly reason: string;
}

/** What decides whether CUDA can be used; the machine itself, or a test's. */
export interface Machine {
  readonly runtime: Pick<Runtime, 'providers' | 'variant' | 'probeCuda'>;
  /** What the pinned CUDA build would miss. */
  readonly findGaps: () => Promise<CudaGap[]>;
}

/**
 * Decides where to train.
 *
 * @param cuda options of the GPU, with which it is tried
 * @throws OrtuneError `DEVICE` when CUDA is asked for and cannot be used, with all that is missing
 */
export async function chooseDevice(choice: DeviceChoice, cuda: CudaOptions = {}, machine?: Machine): Promise<Device> {
  if (choice === 'cpu') return { device: 'cpu', reason: 'as asked' };
  const { runtime, findGaps } = machine ?? { runtime: Runtime.load(), findGaps: () => findCudaGaps() };
  const isBuiltIn = runtime.providers.includes('CUDAExecutionProvider');
  const build = `the training library in use is the CPU build (${runtime.variant})`;
  if (choice === 'auto' && !isBuiltIn) return onCpu(build, cuda);
  // What a library of the user's own needs, only its loader knows.
  const isCustom = runtime.variant === 'custom';
  const gaps = isCustom ? [] : await findGaps();
  const obstacle = isBuiltIn && gaps.length === 0 ? await probe(runtime, cuda) : undefined;
  if (isBuiltIn && gaps.length === 0 && obstacle === undefined) {
    return { device: 'cuda', cuda, reason: choice === 'cuda' ? 'as asked' : 'it can be used' };
  }
  if (choice === 'auto') return onCpu(obstacle ?? listGaps(gaps), cuda);
  const lines = [
    ...(isBuiltIn ? [] : [`${build}; ${remedy(runtime.variant)}`]),
    ...describeGaps(gaps),
    ...(obstacle === undefined ? [] : [obstacle]),
    ...(obstacle && isCustom ? ['all that it misses: ldd, on the libonnxruntime_providers_cuda.so beside it'] : []),
  ];
  throw new OrtuneError(
    'DEVICE',
    [
      '--device cuda: CUDA cannot be used here.',
      ...lines.map((line) => `- ${line}`),
      'Use --device cpu, or see npx ortune doctor.',
    ].join('\n'),
  );
}

/** On one line. The provider looks for the GPU when it is given its number, so a failure there is about the GPU. */
async function probe(runtime: Machine['runtime'], cuda: CudaOptions): Promise<string | undefined> {
  const [reason] = (await runtime.probeCuda(cuda))?.split('\n') ?? [];
  const ofGpu = reason?.split('Failed to parse provider option "device_id": ')[1];
  return ofGpu === undefined ? reason : `GPU ${cuda.deviceId ?? 0} cannot be used: ${ofGpu}`;
}

function onCpu(obstacle: string, cuda: CudaOptions): Device {
  const ignored = Object.keys(cuda).length > 0 ? '; the options of the GPU are not used' : '';
  return { device: 'cpu', reason: `no CUDA: ${obstacle}${ignored}` };
}

function remedy(variant: string): string {
  if (variant === 'custom') return 'set up one that was built with CUDA, or unset ORTUNE_ORT_LIBRARY';
  if (variant.startsWith('linux-x86_64')) return '`npx ortune setup --cuda` fetches the CUDA build';
  return 'no CUDA build is pinned for this platform; ORTUNE_ORT_LIBRARY takes one of your own';
}
