import { OrtuneError } from '../errors.ts';
import type { NativeSessionOptions } from './addon.ts';

/** Options of ONNX Runtime for a session. What is left out keeps ONNX Runtime's default. */
export interface SessionOptions {
  /** Threads inside an operator; 0: one per core (default). */
  readonly intraOpThreads?: number;
  /** Operators that may run at a time. 1 (default) runs them one by one; 0: one thread per core. */
  readonly interOpThreads?: number;
  /** `false` gives memory back after each step instead of keeping it in an arena: less memory, slower. */
  readonly cpuMemoryArena?: boolean;
  /** `false`: threads that wait for work sleep instead of spinning; kinder to other processes, somewhat slower. */
  readonly spinning?: boolean;
  /** Asks for kernels that give the same result each time, where the library has them. */
  readonly deterministic?: boolean;
  /** How far the graph may be rewritten (default `all`). */
  readonly graphOptimization?: 'disabled' | 'basic' | 'extended' | 'all';
  /** What the library logs on stderr (default `warning`, and worse). */
  readonly logSeverity?: 'verbose' | 'info' | 'warning' | 'error' | 'fatal';
  /**
   * Writes a trace, `<prefix>_<time>.json` (Chrome's format), when the session is disposed. All models of a session
   * write to the same file: to profile training, leave out the eval and the optimizer model.
   */
  readonly profilePrefix?: string;
  /** Runs on an NVIDIA GPU; `{}` for the first one. Left out: on the CPU. */
  readonly cuda?: CudaOptions;
}

/** Options of ONNX Runtime's CUDA provider. What is left out keeps its default. */
export interface CudaOptions {
  /** Which GPU, from 0 (default). */
  readonly deviceId?: number;
  /** The most GPU memory that the arena may take, in bytes (default: all). Inputs and cuDNN's workspace come on top. */
  readonly memoryLimit?: number;
  /**
   * How cuDNN finds a convolution's algorithm: by trying all (`exhaustive`, ONNX Runtime's default: the fastest steps,
   * after a first one that takes long for each input shape), by its rules (`heuristic`), or always the same (`default`).
   */
  readonly convolutionSearch?: 'exhaustive' | 'heuristic' | 'default';
  /** Whether convolutions and matrix products may round float32 to TF32, with 10 bits of mantissa (default `true`). */
  readonly tf32?: boolean;
  /** Whether a convolution may take as much workspace as its fastest algorithm wants (default `true`), or 32 MiB. */
  readonly maxWorkspace?: boolean;
  /** Further options by ONNX Runtime's own names, e.g. `{ cudnn_conv1d_pad_to_nc1d: '1' }`. */
  readonly providerOptions?: Readonly<Record<string, string>>;
}

const SEARCHES = ['exhaustive', 'heuristic', 'default'];

/** The first CUDA option that cannot be meant, for the caller to name in its own terms. */
export function findInvalidCuda(
  options: CudaOptions,
): { option: keyof CudaOptions; expected: string; received: unknown } | undefined {
  const { deviceId, memoryLimit, convolutionSearch, tf32, maxWorkspace } = options;
  const isWhole = (value: number, least: number) => Number.isSafeInteger(value) && value >= least;
  if (deviceId !== undefined && !isWhole(deviceId, 0)) {
    return { option: 'deviceId', expected: 'a whole number from 0 up', received: deviceId };
  }
  if (memoryLimit !== undefined && !isWhole(memoryLimit, 1)) {
    return { option: 'memoryLimit', expected: 'a whole number of bytes from 1 up', received: memoryLimit };
  }
  if (convolutionSearch !== undefined && !SEARCHES.includes(convolutionSearch)) {
    return { option: 'convolutionSearch', expected: `one of ${SEARCHES.join(', ')}`, received: convolutionSearch };
  }
  for (const [option, value] of Object.entries({ tf32, maxWorkspace })) {
    if (value === undefined || typeof value === 'boolean') continue;
    return { option: option as 'tf32' | 'maxWorkspace', expected: 'true or false', received: value };
  }
  return undefined;
}

/** Keys and values as ONNX Runtime's CUDA provider names them. @throws OrtuneError `INVALID_ARGUMENT` */
export function toNativeCuda(options: CudaOptions): Record<string, string> {
  const invalid = findInvalidCuda(options);
  if (invalid) {
    const { option, expected, received } = invalid;
    throw new OrtuneError('INVALID_ARGUMENT', `cuda.${option} must be ${expected}, but is ${String(received)}`);
  }
  const { deviceId = 0, memoryLimit, convolutionSearch, tf32, maxWorkspace, providerOptions } = options;
  const flag = (value: boolean) => (value ? '1' : '0');
  return {
    // Given in any case: it makes the provider look whether the GPU is there.
    device_id: String(deviceId),
    ...(memoryLimit !== undefined && { gpu_mem_limit: String(memoryLimit) }),
    ...(convolutionSearch !== undefined && { cudnn_conv_algo_search: convolutionSearch.toUpperCase() }),
    ...(tf32 !== undefined && { use_tf32: flag(tf32) }),
    ...(maxWorkspace !== undefined && { cudnn_conv_use_max_workspace: flag(maxWorkspace) }),
    ...providerOptions,
  };
}

export function toNativeOptions({ cuda, ...options }: SessionOptions): NativeSessionOptions {
  return { ...options, ...(cuda && { cuda: toNativeCuda(cuda) }) };
}
