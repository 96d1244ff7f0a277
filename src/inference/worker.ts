import { readFile } from 'node:fs/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { decodeModel } from '../../onnx/index.ts';
import type { Tensor } from '../runtime/index.ts';
import { defectOf } from './model-file.ts';
import { InferenceSession, Tensor as OrtTensor } from './onnxruntime-node.ts';
import type { Feeds, Fetches, TensorShape, WorkerReply, WorkerRequest, WorkerSetup } from './worker-session.ts';

const { model, threads } = workerData as WorkerSetup;
const port = parentPort as NonNullable<typeof parentPort>;
const answer = (reply: WorkerReply, moved: ArrayBuffer[] = []) => port.postMessage(reply, moved);
const message = (error: unknown) => (error instanceof Error ? error.message : String(error));

try {
  const bytes = typeof model === 'string' ? await readFile(model) : Buffer.concat(model);
  const defect = typeof model === 'string' ? await defectOf(model, bytes) : undefined;
  if (defect !== undefined) throw new Error(defect);
  const { graph, metadata } = decodeModel(bytes);
  const session = await InferenceSession.create(bytes, {
    graphOptimizationLevel: 'all',
    executionProviders: ['cpu'],
    ...(threads && { intraOpNumThreads: threads }),
  });
  let ending = false;
  const run = async (id: number, feeds: Feeds, fetches: Fetches) => {
    // Between two runs, messages get in: after a request to end nothing is begun.
    await nextTurn();
    if (ending) return;
    try {
      const outputs = await session.run(
        Object.fromEntries(
          Object.entries(feeds).map(([name, { type, dims, data }]) => [name, new OrtTensor(type, data, dims)]),
        ),
        fetches ?? session.outputNames,
      );
      const plain: Feeds = Object.fromEntries(
        Object.entries(outputs).map(([name, { type, dims, data }]) => [name, { type, dims, data } as Tensor]),
      );
      answer({ id, outputs: plain });
    } catch (error) {
      answer({ id, failed: message(error) });
    }
  };
  let lane: Promise<unknown> = Promise.resolve();
  port.on('message', (request: WorkerRequest) => {
    if (request === 'end') ending = true;
    lane = lane.then(() => (request === 'end' ? process.exit() : run(request.id, request.feeds, request.fetches)));
  });
  const shapes = (values: readonly TensorShape[]) => values.map(({ name, dims }) => ({ name, dims }));
  answer({ ready: { metadata, inputs: shapes(graph.inputs), outputs: shapes(graph.outputs) } });
} catch (error) {
  answer({ failed: message(error) });
}
