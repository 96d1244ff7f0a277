// Run by abuse-*.test.ts as processes of their own: what may not crash one. Each prints what came of it, as JSON.
import { setTimeout as wait } from 'node:timers/promises';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import type { OrtuneError } from '../../src/errors.ts';
import { CheckpointState, type Tensors, TrainingSession } from '../../src/runtime/index.ts';
import { artifacts, BIAS, batch } from './artifacts.ts';

const { trainingModel: trainModel, evalModel, optimizerModel, checkpoint } = artifacts();

async function open() {
  const state = await CheckpointState.load(checkpoint);
  const source = { checkpointState: state, trainModel, evalModel, optimizerModel, options: { intraOpThreads: 1 } };
  return { state, session: await TrainingSession.create(source) };
}

/** Steps of some tenths of a second, more than a test waits for; what comes of them is nobody's. */
async function stepping() {
  const { session } = await open();
  const feeds = batch(128);
  await session.trainStep(feeds);
  for (let count = 0; count < 200; count += 1) session.trainStep(feeds).catch(() => {});
  await wait(20);
}

/** This file as a worker that does `way`; resolves when it says so. */
async function startWorker(way: string): Promise<Worker> {
  const code = `import(${JSON.stringify(import.meta.resolve('tsx/esm/api'))}).then(({ register }) => {
    register();
    return import(${JSON.stringify(import.meta.url)});
  })`;
  const worker = new Worker(code, { eval: true, argv: [way] });
  await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
  return worker;
}

const lossOf = (outputs: Tensors) => Number(outputs['loss']?.data[0]);
/** What a call came to: `done`, or the code of its error. */
const settled = (call: Promise<unknown>) => call.then(() => 'done').catch((error: OrtuneError) => error.code);
const collect = globalThis.gc as () => void;

/** A few steps from the beginning. */
async function train(): Promise<number[]> {
  const { state, session } = await open();
  const losses: number[] = [];
  for (let seed = 0; seed < 6; seed += 1) {
    losses.push(lossOf(await session.trainStep(batch(4, seed))));
    await session.optimizerStep();
    await session.lazyResetGrad();
  }
  await Promise.all([session.dispose(), state.dispose()]);
  return losses;
}

const ways: Record<string, () => unknown> = {
  async 'disposed in the middle, twice, in any order'() {
    const rounds: unknown[] = [];
    for (const first of ['session', 'state'] as const) {
      const { state, session } = await open();
      const steps = [settled(session.trainStep(batch(64))), settled(session.evalStep(batch(64)))];
      await wait(5);
      const closings = first === 'session' ? [session, state, state, session] : [state, session, session, state];
      const disposals = closings.map((closing) => settled(closing.dispose()));
      const late = [
        ...[settled(session.trainStep(batch(1))), settled(session.optimizerStep()), settled(session.getLearningRate())],
        ...[settled(state.getParameter(BIAS)), settled(TrainingSession.create({ checkpointState: state, trainModel }))],
      ];
      rounds.push([await Promise.all(steps), await Promise.all(disposals), await Promise.all(late)]);
    }
    return rounds;
  },

  async 'sessions at once'() {
    const alone = await train();
    const together = await Promise.all([train(), train(), train(), train()]);
    return together.map((losses) => losses.every((loss, index) => loss === alone[index]));
  },

  async 'sessions forgotten while they step'() {
    const steps: Promise<number>[] = [];
    for (let round = 0; round < 6; round += 1) {
      const { session } = await open();
      for (const seed of [1, 2, 3]) steps.push(session.evalStep(batch(8, seed)).then(lossOf));
      collect();
    }
    const losses = await Promise.all(steps);
    for (let round = 0; round < 5; round += 1) {
      await wait(10);
      collect();
    }
    return { steps: losses.length, different: new Set(losses).size };
  },

  async 'memory that a getter takes away'() {
    const { session } = await open();
    const { image, label } = batch(64);
    const expected = lossOf(await session.evalStep({ image, label }));
    const dims = Object.defineProperty([64], 0, {
      get() {
        new Uint8Array(structuredClone(image.data.buffer, { transfer: [image.data.buffer] })).fill(0);
        return 64;
      },
    });
    const loss = lossOf(await session.evalStep({ image, label: { ...label, dims } }));
    return { taken: image.data.length === 0, same: loss === expected };
  },

  async 'labels that change once they are checked'() {
    const { session } = await open();
    const { image, label } = batch(4);
    const wrong = { ...label, data: BigInt64Array.of(0n, 1n, 10n ** 12n, 2n) };
    const turns = [wrong, label];
    const feeds = { image } as unknown as Tensors;
    Object.defineProperty(feeds, 'label', { enumerable: true, get: () => turns.shift() ?? wrong });
    return settled(session.trainStep(feeds));
  },

  async 'workers that end in the middle'() {
    for (let round = 0; round < 2; round += 1) {
      const workers = await Promise.all([startWorker('stepping'), startWorker('stepping')]);
      await Promise.all(workers.map((worker) => worker.terminate()));
    }
    const other = await startWorker('training');
    const [losses] = await Promise.all([train(), other.terminate()]);
    return losses.every(Number.isFinite);
  },

  async 'errors in what comes after a step'() {
    const { session } = await open();
    const seen: string[] = [];
    process.on('uncaughtException', (error) => seen.push(error.message));
    for (const name of ['first', 'second']) {
      void session.trainStep(batch(4)).then(() => {
        throw new Error(name);
      });
    }
    await session.trainStep(batch(4));
    await wait(10);
    return seen;
  },

  async 'process.exit where an exit listener throws'() {
    process.on('exit', () => {
      throw new Error('on purpose');
    });
    await stepping();
    process.exit(7);
  },
  async 'process.exit without exit listeners'() {
    await stepping();
    process.removeAllListeners('exit');
    process.exit(7);
  },
  async 'process.reallyExit'() {
    await stepping();
    (process as unknown as { reallyExit(code: number): never }).reallyExit(7);
  },
  async 'process.exit with workers that step'() {
    await Promise.all([startWorker('stepping'), startWorker('stepping'), stepping()]);
    process.exit(7);
  },
  async 'a signal'() {
    await stepping();
    console.log('stepping');
    await wait(60_000);
  },

  async stepping() {
    await stepping();
    parentPort?.postMessage('stepping');
  },
  async training() {
    await train();
    parentPort?.postMessage('trained');
  },
};

const result = await ways[process.argv[2] ?? '']?.();
if (isMainThread) console.log(JSON.stringify(result));
