import { readFile } from 'node:fs/promises';
import { parentPort, workerData } from 'node:worker_threads';
import {
  decodeModel,
  encodeModel,
  foldBatchNorms,
  type Model,
  quantise,
  quantisedTensors,
  withHalfWeights,
  withStatistics,
} from '../../onnx/index.ts';
import { OrtuneError } from '../errors.ts';
import type { ReduceReply, ReduceSetup, Reduction } from './reduce.ts';

const { file, reduction } = workerData as ReduceSetup;
const port = parentPort as NonNullable<typeof parentPort>;
const answer = (reply: ReduceReply, moved: ArrayBuffer[] = []) => port.postMessage(reply, moved);

function reduced(model: Model, { kind, ...rest }: Reduction): Model {
  if (kind === 'half') return withHalfWeights(model);
  const folded = foldBatchNorms(model);
  if ('statistics' in rest) return quantise(folded, rest.statistics);
  return withStatistics(folded, quantisedTensors(folded.graph));
}

try {
  const model = decodeModel(await readFile(file));
  // A copy with a buffer of its own, which can be handed over.
  const bytes = new Uint8Array(encodeModel(reduced(model, reduction)));
  answer({ bytes }, [bytes.buffer]);
} catch (error) {
  const { message } = error as Error;
  answer({ failed: { message, code: error instanceof OrtuneError ? error.code : undefined } });
}
