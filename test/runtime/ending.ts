// Run by exit.test.ts as processes of their own: ways to end one that has a session.
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { CheckpointState, TrainingSession } from '../../src/runtime/index.ts';
import { artifacts, batch } from './artifacts.ts';

/** Resolves when one of 200 steps of some tenths of a second is running. */
async function stepping(): Promise<void> {
  const checkpointState = await CheckpointState.load(artifacts().checkpoint);
  const session = await TrainingSession.create({ checkpointState, trainModel: artifacts().trainingModel });
  const feeds = batch(128);
  await session.trainStep(feeds);
  for (let count = 0; count < 200; count += 1) session.trainStep(feeds).catch(() => {});
  await new Promise((resolve) => setTimeout(resolve, 20));
}

/** This file as a worker; its errors are the process's. */
async function steppingWorker(): Promise<Worker> {
  const code = `import(${JSON.stringify(import.meta.resolve('tsx/esm/api'))}).then(({ register }) => {
    register();
    return import(${JSON.stringify(import.meta.url)});
  })`;
  const worker = new Worker(code, { eval: true });
  await new Promise((resolve) => worker.once('message', resolve));
  return worker;
}

const ways: Record<string, () => Promise<void>> = {
  async 'process.exit during a step'() {
    await stepping();
    process.exit(7);
  },
  async 'an error during a step'() {
    await stepping();
    throw new Error('on purpose');
  },
  async 'the end of the program with an open session'() {
    const checkpointState = await CheckpointState.load(artifacts().checkpoint);
    await TrainingSession.create({ checkpointState, trainModel: artifacts().trainingModel });
    process.exitCode = 7;
  },
  async 'process.exit during a step of a worker'() {
    await steppingWorker();
    process.exit(7);
  },
  async 'the end of a worker during a step'() {
    await (await steppingWorker()).terminate();
    // The main thread can still train.
    await using checkpointState = await CheckpointState.load(artifacts().checkpoint);
    await using session = await TrainingSession.create({ checkpointState, trainModel: artifacts().trainingModel });
    await session.trainStep(batch(1));
    process.exitCode = 7;
  },
};

if (isMainThread) await ways[process.argv[2] ?? '']?.();
else {
  await stepping();
  parentPort?.postMessage('stepping');
}
