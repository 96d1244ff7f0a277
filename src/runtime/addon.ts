import { createRequire } from 'node:module';
import { findAddon } from '#setup/find.mjs';
import { home } from '#setup/paths.mjs';
import { loadSolutions, withSolutions } from '#setup/remedies.mjs';
import { OrtuneError } from '../errors.ts';
import { setupNeeded } from './locate.ts';
import type { NativeTensor, TensorType } from './tensor.ts';

/** What `native/` exports. Promises reject, and calls throw, with messages of the form `CODE: text`. */
export interface Addon {
  loadRuntime(path: string, kernelLibrary?: string): RuntimeInfo;
  setSeed(seed: number): void;
  probeCuda(options: Record<string, string>): Promise<string | null>;
  cudaMemory(device: number): CudaMemory | null;
  loadCheckpoint(source: string | Uint8Array): Promise<NativeCheckpoint>;
  createSession(
    checkpoint: NativeCheckpoint,
    models: NativeModels,
    options: NativeSessionOptions,
  ): Promise<NativeSession>;
}

export interface RuntimeInfo {
  version: string;
  libraryPath: string;
  hasTraining: boolean;
  providers: string[];
  customOperators: string[];
  kernels?: KernelLibrary;
}

/** The oneDNN library that a process has loaded. */
export interface KernelLibrary {
  /** Of oneDNN, e.g. `3.11.0`. */
  readonly version: string;
  /** The best of the processor's instructions that it uses, e.g. `AVX2`. */
  readonly instructionSet: string;
}

/** In bytes. */
export interface CudaMemory {
  free: number;
  total: number;
}

export interface NativeModels {
  train: string | Uint8Array;
  eval?: string | Uint8Array;
  optimizer?: string | Uint8Array;
}

export interface NativeSessionOptions {
  intraOpThreads?: number;
  interOpThreads?: number;
  cpuMemoryArena?: boolean;
  spinning?: boolean;
  deterministic?: boolean;
  graphOptimization?: string;
  logSeverity?: string;
  profilePrefix?: string;
  cuda?: Record<string, string>;
}

export interface NativeCheckpoint {
  save(path: string, includeOptimizerState: boolean): Promise<void>;
  getParameter(name: string): Promise<NativeTensor>;
  updateParameter(name: string, tensor: NativeTensor): Promise<void>;
  parameterInfo(name: string): Promise<{ type: TensorType; dims: number[] }>;
  addProperty(name: string, value: bigint | number | string): Promise<void>;
  getProperty(name: string): Promise<bigint | number | string>;
  dispose(): Promise<void>;
}

export interface NativeSession {
  trainInputNames(): string[];
  trainOutputNames(): string[];
  evalInputNames(): string[];
  evalOutputNames(): string[];
  trainStep(feeds: Record<string, NativeTensor>): Promise<NativeTensor[]>;
  evalStep(feeds: Record<string, NativeTensor>): Promise<NativeTensor[]>;
  optimizerStep(): Promise<void>;
  lazyResetGrad(): Promise<void>;
  setLearningRate(rate: number): Promise<void>;
  getLearningRate(): Promise<number>;
  parametersSize(trainableOnly: boolean): Promise<number>;
  copyParametersToBuffer(trainableOnly: boolean): Promise<NativeTensor>;
  copyBufferToParameters(buffer: NativeTensor, trainableOnly: boolean): Promise<void>;
  exportModelForInferencing(path: string, outputNames: string[]): Promise<void>;
  dispose(): Promise<void>;
}

/**
 * The addon: the one that `npx ortune setup` built, else the one of the platform's package. Node keeps it after the first call.
 *
 * @throws OrtuneError `SETUP_NEEDED` when there is none, `ADDON_NOT_LOADED` when it does not load here
 */
export function loadAddon(find: () => string | undefined = findAddon): Addon {
  const file = find();
  if (file === undefined) throw setupNeeded(`the native addon is not built (no ortune.node in ${home})`);
  try {
    return createRequire(import.meta.url)(file) as Addon;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new OrtuneError(
      'ADDON_NOT_LOADED',
      withSolutions(
        `cannot load the native addon on ${process.platform}-${process.arch}, Node ${process.version}: ${reason}`,
        [
          ...loadSolutions(reason),
          `If it was built on another machine, or for other system libraries: rm ${file}, then npx ortune setup`,
          'See what else this machine lacks: npx ortune doctor',
        ],
      ),
      { cause },
    );
  }
}

/** Runs a call of the addon; what it throws or rejects with comes out as an `OrtuneError`. */
export async function callNative<T>(call: () => T | Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw asOrtuneError(error);
  }
}

/** `CODE: text` of the addon as an `OrtuneError`. */
export function asOrtuneError(error: unknown): OrtuneError {
  if (error instanceof OrtuneError) return error;
  const text = error instanceof Error ? error.message : String(error);
  const [, code, message] = /^([A-Z]+(?:_[A-Z]+)*): (.*)$/s.exec(text) ?? [];
  // What carries no code comes from the glue that converts arguments: a value of a wrong JavaScript type.
  return new OrtuneError(code ?? 'INVALID_ARGUMENT', message ?? text, { cause: error });
}
