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

export interface CudaOptions {
  /** Which GPU, from 0 (default). */
  readonly deviceId?: number;
  /** The most GPU memory that the arena may take, in bytes (default: all). */
  readonly memoryLimit?: number;
  /** Further options by ONNX Runtime's own names, e.g. `{ cudnn_conv_algo_search: 'HEURISTIC' }`. */
  readonly providerOptions?: Readonly<Record<string, string>>;
}

/** Keys and values as ONNX Runtime's CUDA provider names them. */
export function toNativeCuda({ deviceId, memoryLimit, providerOptions }: CudaOptions): Record<string, string> {
  return {
    ...(deviceId !== undefined && { device_id: String(deviceId) }),
    ...(memoryLimit !== undefined && { gpu_mem_limit: String(memoryLimit) }),
    ...providerOptions,
  };
}

export function toNativeOptions({ cuda, ...options }: SessionOptions): NativeSessionOptions {
  return { ...options, ...(cuda && { cuda: toNativeCuda(cuda) }) };
}
