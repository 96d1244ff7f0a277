import { getSystemErrorName } from 'node:util';
import { outputError } from '../output-error.ts';
import { callNative, type NativeCheckpoint } from './addon.ts';
import { Runtime } from './runtime.ts';
import { fromNative, type Tensor, type TensorType, toNative } from './tensor.ts';

/**
 * The parameters of a model, the optimizer's state, and properties of one's own.
 *
 * Calls to a state and to the session made from it run one after another, in the order they were made, on a thread of
 * the state's own. All throw `DISPOSED` after `dispose()`.
 */
export class CheckpointState {
  /** For `TrainingSession`. @internal */
  readonly native: NativeCheckpoint;

  private constructor(native: NativeCheckpoint) {
    this.native = native;
  }

  /**
   * Reads a checkpoint of ONNX Runtime's training API, from a file or from bytes (which are copied).
   *
   * @throws OrtuneError `FILE_NOT_FOUND`, `NO_TRAINING_API`, or `ORT_FAILED` when it is no checkpoint
   */
  static async load(source: string | Uint8Array): Promise<CheckpointState> {
    return new CheckpointState(await callNative(() => Runtime.load().addon.loadCheckpoint(source)));
  }

  /**
   * Writes all parameters and properties to a file. The learning rate is not part of a checkpoint: it is 0.001 after
   * each load. Needs an open session once a session has trained the state on a GPU.
   *
   * @param options.includeOptimizerState moments and step count too, to go on exactly where training was (default)
   * @throws OrtuneError `OUTPUT` when the system refuses; what it took of the file is left there
   */
  async save(path: string, options: { readonly includeOptimizerState?: boolean } = {}): Promise<void> {
    try {
      await callNative(() => this.native.save(path, options.includeOptimizerState ?? true));
    } catch (error) {
      throw outputError(path, asSystemError(error));
    }
  }

  /** A copy of a parameter. @throws OrtuneError `NO_SESSION` unless a session made from this state is open */
  async getParameter(name: string): Promise<Tensor> {
    return fromNative(await callNative(() => this.native.getParameter(name)));
  }

  /**
   * Replaces a parameter's values. Type and dimensions must be the parameter's.
   *
   * @throws OrtuneError `NO_SESSION` unless a session made from this state is open, `INVALID_TENSOR`
   */
  updateParameter(name: string, tensor: Tensor): Promise<void> {
    return callNative(() => this.native.updateParameter(name, toNative(`parameter '${name}'`, tensor)));
  }

  /** Element type and dimensions of a parameter. */
  parameterInfo(name: string): Promise<{ type: TensorType; dims: readonly number[] }> {
    return callNative(() => this.native.parameterInfo(name));
  }

  /**
   * Sets a property, which is saved with the state. A `bigint` is kept as a 64-bit integer, a `number` as a 32-bit
   * float (0.1 comes back as 0.10000000149011612), a `string` as text.
   */
  addProperty(name: string, value: bigint | number | string): Promise<void> {
    return callNative(() => this.native.addProperty(name, value));
  }

  /** A property, of the type that it was set with. @throws OrtuneError `ORT_FAILED` if there is none of this name */
  getProperty(name: string): Promise<bigint | number | string> {
    return callNative(() => this.native.getProperty(name));
  }

  /** Waits for the calls made before, then frees the state; while a session made from it is open, the session keeps it. */
  dispose(): Promise<void> {
    return callNative(() => this.native.dispose());
  }

  /** As `dispose`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  /** As `dispose`, for `using`: frees once the calls made before are done, without anyone waiting for it. */
  [Symbol.dispose](): void {
    this.dispose().catch(() => {});
  }
}

/** ONNX Runtime's words for a refusal of the system, `error:No space left on device errno:28`, as Node has such errors. */
function asSystemError(error: unknown): unknown {
  const [, reason, number] = /error:(.*) errno:(\d+)$/.exec((error as Error).message) ?? [];
  if (number === undefined) return error;
  const errno = -Number(number);
  const code = getSystemErrorName(errno);
  return Object.assign(new Error(`${code}: ${reason}`, { cause: error }), { errno, code, syscall: 'write' });
}
