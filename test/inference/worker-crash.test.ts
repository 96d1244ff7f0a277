import { describe, expect, it, vi } from 'vitest';
import { InferenceWorker } from '../../src/inference/worker-session.ts';

/** What threads run here in place of their own code. */
const thread = vi.hoisted(() => ({ code: '' }));

vi.mock('node:worker_threads', async (importOriginal) => {
  const original = await importOriginal<typeof import('node:worker_threads')>();
  return {
    ...original,
    Worker: class extends original.Worker {
      constructor(_entry: URL, options: object) {
        super(new URL(`data:text/javascript,${encodeURIComponent(thread.code)}`), options);
      }
    },
  };
});

describe('a thread that ends before the model is ready', () => {
  it.each([
    ['by itself', 'process.exit()', /the model has been closed/],
    ['by an error', 'throw new Error("out of luck")', /out of luck/],
  ])('%s rejects', async (_, code, message) => {
    thread.code = code;
    await expect(InferenceWorker.create([])).rejects.toThrow(message);
  });
});

describe('a thread that ends later', () => {
  /** A thread that says it is ready, then does something at the first request. */
  const begin = (atRequest: string) => {
    thread.code = `
      import { parentPort } from 'node:worker_threads';
      parentPort.on('message', () => { ${atRequest} });
      parentPort.postMessage({ ready: { metadata: new Map(), inputs: [] } });
    `;
    return InferenceWorker.create([]);
  };

  it.each([
    ['by itself', 'process.exit()', 'the model has been closed'],
    ['by an error', 'throw new Error("out of memory")', 'out of memory'],
  ])('%s rejects what it was asked, and what it is asked then', async (_, code, message) => {
    const worker = await begin(code);
    await expect(Promise.all([worker.run({}), worker.run({})])).rejects.toThrow(message);
    await expect(worker.run({})).rejects.toThrow(message);
    await worker.dispose();
  });
});
