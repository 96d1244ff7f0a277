import { loadSolutions, withSolutions } from '#setup/remedies.mjs';
import { OrtuneError } from '../errors.ts';
import { type Addon, asOrtuneError, type CudaMemory, callNative, type KernelLibrary, loadAddon } from './addon.ts';
import { locateKernels, locateLibrary } from './locate.ts';
import { type CudaOptions, toNativeCuda } from './options.ts';

/** The ONNX Runtime library of this process. There is one: it is loaded once and stays. */
export class Runtime {
  /** Of ONNX Runtime, e.g. `1.24.1`. */
  readonly version: string;
  /** Absolute path, symbolic links resolved. */
  readonly libraryPath: string;
  /** Which build it is: `linux-x86_64`, `linux-x86_64-gpu`, ..., or `custom`. */
  readonly variant: string;
  /** Whether the build can train; without that, loading a checkpoint fails with `NO_TRAINING_API`. */
  readonly hasTraining: boolean;
  /** Execution providers that the build knows, e.g. `CPUExecutionProvider`; the machine may still lack what one needs. */
  readonly providers: readonly string[];
  /** Operators of the domain `ortune` that sessions on the CPU have; none where the library takes no custom operators. */
  readonly customOperators: readonly string[];
  /** oneDNN, which the convolutions among these operators need; `undefined` where there is none (see `npx ortune doctor`). */
  readonly kernels: KernelLibrary | undefined;
  /** The addon, for the other classes of this folder. @internal */
  readonly addon: Addon;

  static #loaded: Runtime | undefined;

  private constructor(libraryPath: string, variant: string) {
    this.addon = loadAddon();
    const info = this.addon.loadRuntime(libraryPath, locateKernels());
    this.version = info.version;
    this.libraryPath = info.libraryPath;
    this.hasTraining = info.hasTraining;
    this.providers = info.providers;
    this.customOperators = info.customOperators;
    this.kernels = info.kernels;
    this.variant = variant;
  }

  /**
   * Loads a library, or returns the one that is loaded.
   *
   * @param libraryPath a library of one's own; without it, the loaded one, else the one that `npx ortune setup` put in place
   * @throws OrtuneError `SETUP_NEEDED`, `ADDON_NOT_LOADED`, `RUNTIME_NOT_LOADED` (no usable library), or
   *   `RUNTIME_ALREADY_LOADED` (this process uses another one)
   */
  static load(libraryPath?: string): Runtime {
    if (libraryPath === undefined && Runtime.#loaded) return Runtime.#loaded;
    const located = libraryPath === undefined ? locateLibrary() : { libraryPath, variant: 'custom' };
    try {
      const runtime = new Runtime(located.libraryPath, located.variant);
      Runtime.#loaded ??= runtime;
      return Runtime.#loaded;
    } catch (error) {
      const failure = asOrtuneError(error);
      const solutions = failure.code === 'RUNTIME_NOT_LOADED' ? loadSolutions(failure.message) : [];
      if (solutions.length === 0) throw failure;
      throw new OrtuneError(failure.code, withSolutions(failure.message, solutions), { cause: error });
    }
  }

  /** Seeds ONNX Runtime's own random numbers (dropout and the like). An integer. */
  setSeed(seed: number): void {
    if (!Number.isSafeInteger(seed)) {
      throw new OrtuneError('INVALID_ARGUMENT', `the seed must be an integer, but is ${seed}`);
    }
    try {
      this.addon.setSeed(seed);
    } catch (error) {
      throw asOrtuneError(error);
    }
  }

  /** Tries to set up the CUDA provider. Resolves to `null` when that works, else to the reason. */
  probeCuda(options: CudaOptions = {}): Promise<string | null> {
    return callNative(() => this.addon.probeCuda(toNativeCuda(options)));
  }

  /**
   * Memory of a GPU in bytes: what is free for any process, and all there is. `null` while this process has not loaded
   * CUDA, which `probeCuda` or a session on a GPU does.
   *
   * @throws OrtuneError `CUDA_FAILED` with CUDA's reason, e.g. when there is no such GPU
   */
  cudaMemory(deviceId = 0): CudaMemory | null {
    if (!Number.isSafeInteger(deviceId) || deviceId < 0) {
      throw new OrtuneError('INVALID_ARGUMENT', `deviceId must be a whole number from 0 up, but is ${deviceId}`);
    }
    try {
      return this.addon.cudaMemory(deviceId);
    } catch (error) {
      throw asOrtuneError(error);
    }
  }
}
