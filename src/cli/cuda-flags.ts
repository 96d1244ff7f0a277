import { OrtuneError } from '../errors.ts';
import type { CudaOptions } from '../runtime/index.ts';

const GIBIBYTE = 2 ** 30;

/** The flags of a GPU. None has a default here: what is left out is ONNX Runtime's to choose. */
export const CUDA_FLAGS = {
  'cuda-device': { type: 'number', group: 'CUDA:', describe: 'Which GPU, from 0; the first by default' },
  'cuda-memory': { type: 'number', group: 'CUDA:', describe: 'Most GPU memory of the arena, in GiB; all by default' },
  'cuda-search': {
    choices: ['exhaustive', 'heuristic', 'default'] as const,
    group: 'CUDA:',
    describe: "How cuDNN finds each convolution's algorithm; exhaustive by default",
  },
  tf32: { type: 'boolean', group: 'CUDA:', describe: 'Convolutions and products in TF32; on by default' },
  'cuda-workspace': {
    type: 'boolean',
    group: 'CUDA:',
    describe: 'As much workspace as the fastest convolution wants; on by default',
  },
} as const;

export interface CudaArguments {
  cudaDevice: number | undefined;
  cudaMemory: number | undefined;
  cudaSearch: 'exhaustive' | 'heuristic' | 'default' | undefined;
  tf32: boolean | undefined;
  cudaWorkspace: boolean | undefined;
}

/** The flags that were given as the library's options; nothing when none was. @throws OrtuneError `OPTION` */
export function cudaOptions(args: Partial<CudaArguments>): { cuda?: CudaOptions } {
  const { cudaDevice, cudaMemory, cudaSearch, tf32, cudaWorkspace } = args;
  // In the flag's own unit; the library would complain of bytes.
  if (cudaMemory !== undefined && !(cudaMemory > 0 && cudaMemory * GIBIBYTE <= Number.MAX_SAFE_INTEGER)) {
    throw new OrtuneError(
      'OPTION',
      `cuda-memory: expected a number of GiB above 0 (and at most 2^23), received ${cudaMemory}`,
    );
  }
  const cuda: CudaOptions = {
    ...(cudaDevice !== undefined && { deviceId: cudaDevice }),
    ...(cudaMemory !== undefined && { memoryLimit: Math.ceil(cudaMemory * GIBIBYTE) }),
    ...(cudaSearch !== undefined && { convolutionSearch: cudaSearch }),
    ...(tf32 !== undefined && { tf32 }),
    ...(cudaWorkspace !== undefined && { maxWorkspace: cudaWorkspace }),
  };
  return Object.keys(cuda).length === 0 ? {} : { cuda };
}
