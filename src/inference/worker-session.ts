import { Worker } from 'node:worker_threads';
import { OrtuneError } from '../errors.ts';
import type { Tensor } from '../runtime/index.ts';
import { locateServing } from '../runtime/locate.ts';
import { workerEntry } from './typescript-worker.ts';

export type Feeds = Readonly<Record<string, Tensor>>;
/** Names of the outputs that are wanted; all of them where it is left out. */
export type Fetches = readonly string[] | undefined;

/** What the worker is asked: to run the model, by running number, or to end. */
export type WorkerRequest = { readonly id: number; readonly feeds: Feeds; readonly fetches: Fetches } | 'end';
export type WorkerReply =
  | { readonly ready: ModelInfo }
  | { readonly failed: string }
  | { readonly id: number; readonly outputs: Feeds }
  | { readonly id: number; readonly failed: string };

export interface TensorShape {
  readonly name: string;
  readonly dims: readonly (number | string)[];
}

/** What a model says about itself. */
export interface ModelInfo {
  readonly metadata: ReadonlyMap<string, string>;
  readonly inputs: readonly TensorShape[];
  readonly outputs: readonly TensorShape[];
}

/** A model's file, or its bytes in pieces, as `encodeModelChunks` gives them: the worker puts them together. */
export type ModelSource = string | readonly Uint8Array[];

export interface WorkerSetup {
  readonly model: ModelSource;
  readonly threads: number | undefined;
}

/**
 * An onnxruntime-node session on a thread of its own: its `run` is synchronous behind the promise that it gives, and
 * would hold up the event loop for as long as the model computes.
 */
export class InferenceWorker {
  readonly info: ModelInfo;
  readonly #worker: Worker;
  readonly #ended: Promise<unknown>;
  readonly #waiting = new Map<number, { resolve(outputs: Feeds): void; reject(error: Error): void }>();
  #nextId = 0;
  #closed: Error | undefined;

  private constructor(worker: Worker, info: ModelInfo) {
    this.#worker = worker;
    this.info = info;
    worker.on('message', (reply: WorkerReply) => this.#settle(reply));
    worker.on('error', (error) => this.#fail(error));
    worker.on('exit', () => this.#fail(closed()));
    this.#ended = new Promise((resolve) => worker.once('exit', resolve));
  }

  /** Whether it can be asked: not after `dispose`, nor when its thread has failed. */
  get ready(): boolean {
    return this.#closed === undefined;
  }

  /** @throws OrtuneError `MODEL_INVALID` when onnxruntime-node does not take the model */
  static async create(model: ModelSource, options: { threads?: number | undefined } = {}): Promise<InferenceWorker> {
    // onnxruntime-node tells Microsoft of its use, by an identifier that it keeps in the user's cache folder, unless this is
    // set before it is loaded. Here, as an environment set by the worker is the worker's alone.
    process.env['ORT_DISABLE_TELEMETRY'] ??= '1';
    locateServing(); // Where it is missing, the thread would end without saying what to do.
    const worker = new Worker(workerEntry(import.meta.url, './worker'), {
      workerData: { model, threads: options.threads } satisfies WorkerSetup,
    });
    const reply = await new Promise<WorkerReply>((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
      worker.once('exit', () => reject(closed()));
    });
    if ('ready' in reply) return new InferenceWorker(worker, reply.ready);
    await worker.terminate();
    const reason = 'failed' in reply ? reply.failed : 'it did not load';
    throw new OrtuneError('MODEL_INVALID', `${typeof model === 'string' ? model : 'the model'}: ${reason}`);
  }

  /**
   * Runs the model once. Several calls may be under way; they are answered in order.
   *
   * @param fetches names of the outputs that are wanted: the others are not copied; all by default
   * @throws OrtuneError `MODEL_RUN` with onnxruntime-node's reason, `MODEL_CLOSED`
   */
  run(feeds: Feeds, fetches?: Fetches): Promise<Feeds> {
    if (this.#closed) return Promise.reject(this.#closed);
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#worker.postMessage({ id, feeds, fetches } satisfies WorkerRequest);
      this.#waiting.set(id, { resolve, reject });
    });
  }

  /** Ends the thread, once a run that is computing is through; what was asked of it is rejected. */
  async dispose(): Promise<void> {
    this.#fail(closed());
    // Not `terminate()`: onnxruntime-node takes the whole process down when its thread is torn from under a run.
    this.#worker.postMessage('end' satisfies WorkerRequest);
    await this.#ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  #settle(reply: WorkerReply): void {
    if (!('id' in reply)) return;
    const waiting = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if ('failed' in reply) waiting?.reject(new OrtuneError('MODEL_RUN', reply.failed));
    else waiting?.resolve(reply.outputs);
  }

  #fail(error: Error): void {
    this.#closed ??= error;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}

const closed = () => new OrtuneError('MODEL_CLOSED', 'the model has been closed');
