import type { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { buildResNet, encodeModelChunks, IMAGE } from '../../onnx/index.ts';
import { InferenceWorker } from '../../src/inference/worker-session.ts';

/** The threads that were started, and code to be run by the next ones in place of theirs. */
const threads = vi.hoisted(() => ({ started: [] as Worker[], code: undefined as string | undefined }));

vi.mock('node:worker_threads', async (importOriginal) => {
  const original = await importOriginal<typeof import('node:worker_threads')>();
  return {
    ...original,
    Worker: class extends original.Worker {
      constructor(entry: URL, options: object) {
        super(threads.code === undefined ? entry : new URL(`data:text/javascript,${threads.code}`), options);
        threads.started.push(this);
      }
    },
  };
});

const SIDE = 32;
const model = [...encodeModelChunks(buildResNet({ width: 0.125, classes: 3, imageSize: SIDE }))];
const feeds = {
  [IMAGE]: { type: 'uint8', dims: [8, SIDE, SIDE, 3], data: new Uint8Array(8 * SIDE * SIDE * 3) },
} as const;

afterEach(() => {
  threads.code = undefined;
});

describe('a thread that ends before the model is ready', () => {
  it.each([
    ['by itself', 'process.exit()', /the model has been closed/],
    ['by an error', 'throw new Error("out of luck")', /out of luck/],
  ])('%s rejects', async (_, code, message) => {
    threads.code = encodeURIComponent(code);
    await expect(InferenceWorker.create(model)).rejects.toThrow(message);
  });
});

describe('a thread that ends later', () => {
  it('rejects what it was asked, and what it is asked then', async () => {
    const worker = await InferenceWorker.create(model, { threads: 1 });
    const pending = worker.run(feeds);
    pending.catch(() => {});
    await threads.started.at(-1)?.terminate();
    await expect(pending).rejects.toMatchObject({ code: 'MODEL_CLOSED' });
    await expect(worker.run(feeds)).rejects.toMatchObject({ code: 'MODEL_CLOSED' });
  });

  it('rejects with the error that ended it', async () => {
    const worker = await InferenceWorker.create(model, { threads: 1 });
    const error = new Error('out of memory');
    const pending = worker.run(feeds);
    threads.started.at(-1)?.emit('error', error);
    await expect(pending).rejects.toBe(error);
    await expect(worker.run(feeds)).rejects.toBe(error);
    await worker.dispose();
  });
});
