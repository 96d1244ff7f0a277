import { readdirSync, readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test, vi } from 'vitest';
import { CheckpointState, TrainingSession } from '../../src/runtime/index.ts';
import { artifacts, BIAS, batch } from './artifacts.ts';
import { failure, lossOf, openSession } from './fixture.ts';

test('the input can be overwritten as soon as the call has returned', async () => {
  const { session } = await openSession();
  const expected = lossOf(await session.evalStep(batch(4)));
  const { image, label } = batch(4);
  const step = session.evalStep({ image, label });
  image.data.fill(0);
  label.data.fill(3n);
  structuredClone(image.data.buffer, { transfer: [image.data.buffer] });
  expect(lossOf(await step)).toBe(expected);
});

test('calls that are not waited for run in their order', async () => {
  const seeds = [1, 2, 3];
  const { session: patient } = await openSession();
  const expected: number[] = [];
  for (const seed of seeds) {
    expected.push(lossOf(await patient.trainStep(batch(4, seed))));
    await patient.optimizerStep();
    await patient.lazyResetGrad();
  }
  const { session: hasty } = await openSession();
  const losses = seeds.map((seed) => {
    const step = hasty.trainStep(batch(4, seed));
    void hasty.optimizerStep();
    void hasty.lazyResetGrad();
    return step.then(lossOf);
  });
  expect(await Promise.all(losses)).toEqual(expected);
});

test('the event loop turns while a step runs', async () => {
  const { session } = await openSession();
  const feeds = batch(256);
  let ticks = 0;
  const timer = setInterval(() => {
    ticks += 1;
  }, 5);
  const start = performance.now();
  await session.trainStep(feeds);
  const duration = performance.now() - start;
  clearInterval(timer);
  // A step long enough to tell; a loop that was blocked would tick once or twice.
  expect(duration).toBeGreaterThan(50);
  expect(ticks).toBeGreaterThan(4);
});

test('dispose waits for the steps that were asked for before it', async () => {
  const { session, state } = await openSession();
  const order: string[] = [];
  const done = [
    session.trainStep(batch(64)).then(() => order.push('first step')),
    session.trainStep(batch(64)).then(() => order.push('second step')),
    session.dispose().then(() => order.push('session')),
    state.dispose().then(() => order.push('state')),
  ];
  await Promise.all(done);
  expect(order).toEqual(['first step', 'second step', 'session', 'state']);
});

test('all calls after dispose are refused, and dispose itself is not', async () => {
  const { session, state } = await openSession();
  await session.dispose();
  const sessionCalls = [
    () => session.trainStep(batch(1)),
    () => session.evalStep(batch(1)),
    () => session.optimizerStep(),
    () => session.lazyResetGrad(),
    () => session.setLearningRate(1),
    () => session.getLearningRate(),
    () => session.parametersSize(true),
    () => session.copyParametersToBuffer(true),
    () => session.copyBufferToParameters(new Float32Array(1), true),
    () => session.exportModelForInferencing('/tmp/x', []),
  ];
  for (const call of sessionCalls) {
    expect(await failure(call)).toMatchObject({
      code: 'DISPOSED',
      message: 'this TrainingSession has been disposed',
    });
  }
  await session.dispose();
  await state.dispose();
  const stateCalls = [
    () => state.save('/tmp/x'),
    () => state.getParameter(BIAS),
    () => state.updateParameter(BIAS, { type: 'float32', dims: [5], data: new Float32Array(5) }),
    () => state.parameterInfo(BIAS),
    () => state.addProperty('a', 1),
    () => state.getProperty('a'),
    () => TrainingSession.create({ checkpointState: state, trainModel: artifacts().trainingModel }),
  ];
  for (const call of stateCalls) {
    expect(await failure(call)).toMatchObject({ code: 'DISPOSED', message: 'this CheckpointState has been disposed' });
  }
  await state.dispose();
});

test('a session keeps its state when that is disposed first', async () => {
  const { session, state } = await openSession();
  const before = lossOf(await session.evalStep(batch(4)));
  await state.dispose();
  await session.trainStep(batch(4));
  await session.optimizerStep();
  expect(lossOf(await session.evalStep(batch(4)))).not.toBe(before);
});

const lanes = () =>
  readdirSync('/proc/self/task').filter((task) => {
    try {
      return readFileSync(`/proc/self/task/${task}/comm`, 'utf8').trim() === 'ortune-lane';
    } catch {
      return false; // The thread has ended meanwhile.
    }
  }).length;

test.skipIf(process.platform !== 'linux')('what is forgotten without dispose is collected', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const before = lanes();
  const forget = async () => {
    const checkpointState = await CheckpointState.load(artifacts().checkpoint);
    const session = await TrainingSession.create({ checkpointState, trainModel: artifacts().trainingModel });
    await session.trainStep(batch(1));
  };
  for (let count = 0; count < 3; count += 1) await forget();
  expect(lanes()).toBeGreaterThan(before);
  await vi.waitFor(
    () => {
      collect();
      expect(lanes()).toBeLessThanOrEqual(before);
    },
    { timeout: 20_000, interval: 50 },
  );
});

test('`using` disposes at the end of its block, after the step that was asked for', async () => {
  const { session, state } = await openSession();
  let step: Promise<unknown>;
  {
    using held = session;
    using _state = state;
    step = held.trainStep(batch(4));
  }
  await expect(step).resolves.toHaveProperty('loss');
  expect(await failure(() => session.trainStep(batch(4)))).toMatchObject({ code: 'DISPOSED' });
  expect(await failure(() => state.getParameter(BIAS))).toMatchObject({ code: 'DISPOSED' });
});
