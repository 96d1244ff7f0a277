import { readFile } from 'node:fs/promises';
import { classCount, LABEL, NO_LABEL } from '../../onnx/index.ts';
import { OrtuneError } from '../errors.ts';
import { callNative, type NativeSession } from './addon.ts';
import type { CheckpointState } from './checkpoint-state.ts';
import { type SessionOptions, toNativeOptions } from './options.ts';
import { Runtime } from './runtime.ts';
import { fromNative, type NativeTensor, type Tensor, toNative } from './tensor.ts';

/** What a session is made of: a state, and the models of its artifacts. */
export interface TrainingSessionSource {
  readonly checkpointState: CheckpointState;
  /** Paths for all models, or bytes (which are copied) for all. */
  readonly trainModel: string | Uint8Array;
  /** Needed for `evalStep` and `exportModelForInferencing`. */
  readonly evalModel?: string | Uint8Array | undefined;
  /** Needed for `optimizerStep` and the learning rate. */
  readonly optimizerModel?: string | Uint8Array | undefined;
  readonly options?: SessionOptions;
}

/** Tensors by the name of the input or output. */
export type Tensors = Record<string, Tensor>;

/**
 * Trains the parameters of a `CheckpointState`, of which it changes the values in place.
 *
 * Steps run one after another on a thread of their own. What is fed is checked against the model and copied before
 * the call returns, so its memory can be used again at once. So are the values of an int64 input `label` where the
 * training model's output `logits` says how many classes there are: ONNX Runtime reads memory that is not the tensor's
 * for a label that is no class. All calls throw `DISPOSED` after `dispose()`.
 *
 * The end of the process, or of the worker that made the session, waits for the step that is running, a step being
 * nothing that could be broken off, and drops those that are queued.
 */
export class TrainingSession {
  readonly trainInputNames: readonly string[];
  readonly trainOutputNames: readonly string[];
  /** Empty without an eval model, as are `evalOutputNames`. */
  readonly evalInputNames: readonly string[];
  readonly evalOutputNames: readonly string[];
  readonly #native: NativeSession;
  readonly #classes: number | undefined;

  private constructor(native: NativeSession, classes: number | undefined) {
    this.#native = native;
    this.#classes = classes;
    this.trainInputNames = native.trainInputNames();
    this.trainOutputNames = native.trainOutputNames();
    this.evalInputNames = native.evalInputNames();
    this.evalOutputNames = native.evalOutputNames();
  }

  /**
   * Opens a session. A state has one session at a time. The learning rate is 0.001 at first.
   *
   * @throws OrtuneError `STATE_IN_USE`, `FILE_NOT_FOUND`, `INVALID_MODEL`, `INVALID_ARGUMENT`, or `ORT_FAILED` with
   *   ONNX Runtime's reason
   */
  static async create(source: TrainingSessionSource): Promise<TrainingSession> {
    const { checkpointState, trainModel, evalModel, optimizerModel, options = {} } = source;
    const models = {
      train: trainModel,
      ...(evalModel !== undefined && { eval: evalModel }),
      ...(optimizerModel !== undefined && { optimizer: optimizerModel }),
    };
    const native = await callNative(() =>
      Runtime.load().addon.createSession(checkpointState.native, models, toNativeOptions(options)),
    );
    return new TrainingSession(
      native,
      classCount(typeof trainModel === 'string' ? await readFile(trainModel) : trainModel),
    );
  }

  /**
   * Forward and backward: adds the gradients to those of earlier steps (a sum, not a mean) and returns the outputs.
   *
   * @throws OrtuneError `MISSING_INPUT`, `UNKNOWN_INPUT`, `INVALID_TENSOR`, `INPUT_TYPE`, `INPUT_SHAPE`, `LABEL`,
   *   `ORT_FAILED`
   */
  async trainStep(feeds: Tensors): Promise<Tensors> {
    const outputs = await callNative(() => this.#native.trainStep(this.#toNative('the train step', feeds, 0)));
    return named(this.trainOutputNames, outputs);
  }

  /**
   * Forward only, by the eval model. A row of label -1 counts for nothing in the loss.
   *
   * @throws OrtuneError as `trainStep`, and `NO_EVAL_MODEL`
   */
  async evalStep(feeds: Tensors): Promise<Tensors> {
    const outputs = await callNative(() => this.#native.evalStep(this.#toNative('the eval step', feeds, NO_LABEL)));
    return named(this.evalOutputNames, outputs);
  }

  /** Updates the parameters by the gradients, which it leaves as they are. @throws OrtuneError `NO_OPTIMIZER_MODEL` */
  optimizerStep(): Promise<void> {
    return callNative(() => this.#native.optimizerStep());
  }

  /** Lets the next train step replace the gradients instead of adding to them. */
  lazyResetGrad(): Promise<void> {
    return callNative(() => this.#native.lazyResetGrad());
  }

  /** @throws OrtuneError `INVALID_ARGUMENT`, `NO_OPTIMIZER_MODEL` */
  setLearningRate(rate: number): Promise<void> {
    return callNative(() => this.#native.setLearningRate(rate));
  }

  /** The rate as a 32-bit float: 0.1 is 0.10000000149011612. @throws OrtuneError `NO_OPTIMIZER_MODEL` */
  getLearningRate(): Promise<number> {
    return callNative(() => this.#native.getLearningRate());
  }

  /** Number of elements of all parameters, or of the trained ones. */
  parametersSize(trainableOnly: boolean): Promise<number> {
    return callNative(() => this.#native.parametersSize(trainableOnly));
  }

  /** A copy of all parameters (or the trained ones) one after another, in the order of the training model's inputs. */
  async copyParametersToBuffer(trainableOnly: boolean): Promise<Float32Array> {
    const { data } = await callNative(() => this.#native.copyParametersToBuffer(trainableOnly));
    return new Float32Array(data.buffer, data.byteOffset, data.byteLength / 4);
  }

  /** The reverse of `copyParametersToBuffer`. @throws OrtuneError `INVALID_TENSOR` when the length is another */
  copyBufferToParameters(buffer: Float32Array, trainableOnly: boolean): Promise<void> {
    return callNative(() => {
      const tensor = toNative('parameter buffer', { type: 'float32', dims: [buffer.length], data: buffer });
      return this.#native.copyBufferToParameters(tensor, trainableOnly);
    });
  }

  /**
   * Writes the eval model with the parameters' present values inside, cut down to what the named outputs need.
   *
   * @throws OrtuneError `EXPORT_NEEDS_PATHS` unless the models were given as paths, `NO_EVAL_MODEL`, `ORT_FAILED`
   */
  exportModelForInferencing(path: string, outputNames: readonly string[]): Promise<void> {
    return callNative(() => this.#native.exportModelForInferencing(path, [...outputNames]));
  }

  /** Waits for the calls made before, then frees the session. */
  dispose(): Promise<void> {
    return callNative(() => this.#native.dispose());
  }

  /** As `dispose`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  /** As `dispose`, for `using`: frees once the calls made before are done, without anyone waiting for it. */
  [Symbol.dispose](): void {
    this.dispose().catch(() => {});
  }

  /** @param least the smallest label that there is */
  #toNative(step: string, feeds: Tensors, least: number): Record<string, NativeTensor> {
    const native = Object.fromEntries(
      Object.entries(feeds).map(([name, tensor]) => [name, toNative(`${step} input '${name}'`, tensor)]),
    );
    const label = native[LABEL];
    const classes = this.#classes;
    if (classes !== undefined && label?.type === 'int64') {
      // What is checked is what goes on: another thread may write to the memory, if it is shared.
      const values = new BigInt64Array(label.data.slice().buffer);
      const row = values.findIndex((value) => value < least || value >= classes);
      if (row >= 0) {
        throw new OrtuneError(
          'LABEL',
          `${step} input '${LABEL}': expected labels from ${least} to ${classes - 1}, received ${values[row]} in row ${row}`,
        );
      }
      native[LABEL] = { ...label, data: new Uint8Array(values.buffer) };
    }
    return native;
  }
}

function named(names: readonly string[], outputs: readonly NativeTensor[]): Tensors {
  return Object.fromEntries(outputs.map((output, index) => [names[index], fromNative(output)]));
}
