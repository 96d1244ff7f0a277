import { Worker } from 'node:worker_threads';
import type { TensorStatistics } from '../../onnx/index.ts';
import { OrtuneError } from '../errors.ts';
import { workerEntry } from '../inference/typescript-worker.ts';

/** What is made of a model. */
export type Reduction =
  /** Weights in float16. */
  | { readonly kind: 'half' }
  /** In float32, giving statistics of what is to be quantised instead of answers. */
  | { readonly kind: 'statistics' }
  /** In eight-bit integers. */
  | { readonly kind: 'quantise'; readonly statistics: ReadonlyMap<string, TensorStatistics> };

export interface ReduceSetup {
  readonly file: string;
  readonly reduction: Reduction;
}
export type ReduceReply =
  | { readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly failed: { readonly message: string; readonly code: string | undefined } };

/**
 * Reads a model's file and makes another of it, on a thread of its own: a network's millions of weights would hold up the
 * event loop.
 *
 * @returns the bytes of the other
 * @throws OrtuneError `EXPORT_RANGE`, `ONNX_INVALID`
 */
export async function reduce(file: string, reduction: Reduction): Promise<Uint8Array<ArrayBuffer>> {
  const worker = new Worker(workerEntry(import.meta.url, './worker'), {
    workerData: { file, reduction } satisfies ReduceSetup,
  });
  const reply = await new Promise<ReduceReply>((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', (code) => reject(new Error(`the export's thread ended with ${code}`)));
  });
  if ('bytes' in reply) return reply.bytes;
  const { message, code } = reply.failed;
  throw code === undefined ? new Error(message) : new OrtuneError(code, message);
}
