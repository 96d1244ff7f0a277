import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { expect, test } from 'vitest';
import { CheckpointState, type Tensors, TrainingSession } from '../../src/runtime/index.ts';
import { artifacts, BIAS, batch } from './artifacts.ts';
import { artifactFiles, floats, lossOf, openSession, temporaryFolder } from './fixture.ts';

test('names what the two models take and give', async () => {
  const { session } = await openSession();
  expect(session.trainInputNames).toEqual(['image', 'label']);
  expect(session.trainOutputNames).toEqual(['loss', 'logits']);
  expect(session.evalInputNames).toEqual(['image', 'label']);
  expect(session.evalOutputNames).toEqual(['loss', 'logits']);
});

test('the loss is the cross entropy of the logits', async () => {
  const { session } = await openSession();
  const { image, label } = batch(3);
  const outputs = await session.trainStep({ image, label });
  expect(outputs['logits']).toMatchObject({ type: 'float32', dims: [3, 5] });
  expect(outputs['loss']).toMatchObject({ type: 'float32', dims: [] });
  const logits = floats(outputs, 'logits');
  const losses = [0, 1, 2].map((row) => {
    const scores = [...logits.subarray(row * 5, row * 5 + 5)];
    return Math.log(scores.reduce((sum, score) => sum + Math.exp(score), 0)) - (scores[row] as number);
  });
  expect(lossOf(outputs)).toBeCloseTo(losses.reduce((sum, loss) => sum + loss, 0) / 3, 5);
});

test('steps make the loss smaller, batches of any size', async () => {
  const { session } = await openSession();
  const first = lossOf(await session.evalStep(batch(4)));
  for (let step = 0; step < 8; step += 1) {
    await session.lazyResetGrad();
    await session.trainStep(batch(4));
    await session.optimizerStep();
  }
  expect(lossOf(await session.trainStep(batch(4)))).toBeLessThan(first * 0.99);
  expect((await session.evalStep(batch(1)))['logits']?.dims).toEqual([1, 5]);
});

// Kingma & Ba, "Adam", 2015: with zero moments and corrected bias the first step is the learning rate times the
// gradient's sign. The bias' gradient is the mean of softmax minus one-hot, so its signs follow from the labels.
test('the first optimizer step moves each bias by the learning rate, against its gradient', async () => {
  const { state, session } = await openSession();
  const before = floats({ bias: await state.getParameter(BIAS) }, 'bias');
  await session.setLearningRate(0.25);
  await session.trainStep(batch(4, 0, 2));
  await session.optimizerStep();
  const after = floats({ bias: await state.getParameter(BIAS) }, 'bias');
  const moves = [...after].map((value, index) => value - (before[index] as number));
  for (const [index, sign] of [-1, -1, 1, -1, -1].entries()) expect(moves[index]).toBeCloseTo(sign * 0.25, 3);
});

test.each([
  { reset: false, signs: [1, 1, -1, -1, -1], gradients: 'the sum of both steps' },
  { reset: true, signs: [-1, 1, -1, -1, -1], gradients: 'those of the second step' },
])('with lazyResetGrad $reset the gradients are $gradients', async ({ reset, signs }) => {
  const { state, session } = await openSession();
  const before = floats({ bias: await state.getParameter(BIAS) }, 'bias');
  await session.trainStep(batch(4, 0, 0));
  if (reset) await session.lazyResetGrad();
  await session.trainStep(batch(4, 0, 1));
  await session.optimizerStep();
  const after = floats({ bias: await state.getParameter(BIAS) }, 'bias');
  expect([...after].map((value, index) => Math.sign(value - (before[index] as number)))).toEqual(signs);
});

test('the learning rate is 0.001 at first and then what is set', async () => {
  const { session } = await openSession();
  expect(await session.getLearningRate()).toBe(Math.fround(0.001));
  await session.setLearningRate(0.1);
  expect(await session.getLearningRate()).toBe(Math.fround(0.1));
  await session.setLearningRate(0);
  expect(await session.getLearningRate()).toBe(0);
});

// Steps of the same shapes share the memory of their inputs and outputs; one of another shape in between ends that.
test('steps that share memory give the bits of steps that do not', async () => {
  const run = async (shares: boolean) => {
    const { state, session } = await openSession();
    const results: Tensors[] = [];
    for (const seed of [1, 2, 3]) {
      if (!shares) {
        await session.trainStep(batch(2, 9));
        await session.evalStep(batch(2, 9));
        await session.lazyResetGrad();
      }
      results.push(await session.trainStep(batch(4, seed)));
      await session.optimizerStep();
      await session.lazyResetGrad();
      results.push({ bias: await state.getParameter(BIAS) });
    }
    const [first, second] = [await session.evalStep(batch(3, 1)), await session.evalStep(batch(3, 2))];
    expect(first).not.toEqual(second);
    expect(await session.evalStep(batch(3, 1))).toEqual(first);
    expect((await session.evalStep(batch(1, 1)))['logits']?.dims).toEqual([1, 5]);
    expect(await session.evalStep(batch(3, 2))).toEqual(second);
    return results;
  };
  const results = await run(true);
  expect(results).toEqual(await run(false));
  expect(results[2]).not.toEqual(results[0]);
});

test("outputs are the caller's own", async () => {
  const { session } = await openSession();
  const first = await session.evalStep(batch(4, 1));
  const kept = structuredClone(first);
  await session.evalStep(batch(4, 2));
  expect(first).toEqual(kept);
  floats(first, 'logits').fill(0);
  expect(await session.evalStep(batch(4, 1))).toEqual(kept);
});

test('evaluation changes nothing', async () => {
  const { session } = await openSession();
  const before = await session.copyParametersToBuffer(false);
  const { loss } = await session.evalStep(batch(4));
  expect(await session.evalStep(batch(4))).toMatchObject({ loss });
  const after = await session.copyParametersToBuffer(false);
  expect(Buffer.from(after.buffer).equals(Buffer.from(before.buffer))).toBe(true);
});

test('parameters go out to a buffer and come back in', async () => {
  const { state, session } = await openSession();
  const size = await session.parametersSize(true);
  // 53 normalisations have a running mean and variance, which are parameters but not trained.
  expect(await session.parametersSize(false)).toBeGreaterThan(size);
  const start = await session.copyParametersToBuffer(true);
  expect(start).toHaveLength(size);
  const loss = lossOf(await session.evalStep(batch(4)));
  await session.copyBufferToParameters(new Float32Array(size), true);
  expect((await state.getParameter(BIAS)).data).toEqual(new Float32Array(5));
  // With all weights zero all classes are as likely: the loss is ln 5.
  expect(lossOf(await session.evalStep(batch(4)))).toBeCloseTo(Math.log(5), 5);
  await session.copyBufferToParameters(start, true);
  expect(lossOf(await session.evalStep(batch(4)))).toBe(loss);
});

test('exports a model that onnxruntime-node serves with the same logits', async () => {
  const { checkpoint, ...models } = artifactFiles();
  await using checkpointState = await CheckpointState.load(checkpoint);
  await using session = await TrainingSession.create({ checkpointState, ...models });
  await session.trainStep(batch(4));
  await session.optimizerStep();
  const { image, label } = batch(2);
  const expected = floats(await session.evalStep({ image, label }), 'logits');
  const file = join(temporaryFolder(), 'model.onnx');
  await session.exportModelForInferencing(file, ['logits']);
  const served = await InferenceSession.create(file);
  expect(served.inputNames).toEqual(['image']);
  const { logits } = await served.run({ image: new Tensor('uint8', image.data, image.dims) });
  const given = logits?.data as Float32Array;
  expect(given).toHaveLength(expected.length);
  for (const [index, value] of given.entries()) expect(value).toBeCloseTo(expected[index] as number, 4);
});

test('takes all options of a CPU session', async () => {
  const folder = temporaryFolder();
  const { trainingModel, checkpoint } = artifacts();
  await using checkpointState = await CheckpointState.load(checkpoint);
  const session = await TrainingSession.create({
    checkpointState,
    trainModel: trainingModel,
    options: {
      intraOpThreads: 2,
      interOpThreads: 2,
      cpuMemoryArena: false,
      spinning: false,
      deterministic: true,
      graphOptimization: 'basic',
      logSeverity: 'error',
      profilePrefix: join(folder, 'trace'),
    },
  });
  expect(session.evalInputNames).toEqual([]);
  await session.trainStep(batch(2));
  await session.dispose();
  const [trace = ''] = readdirSync(folder);
  expect(trace).toMatch(/^trace_.*\.json$/);
  const events = JSON.parse(readFileSync(join(folder, trace), 'utf8')) as { args?: { op_name?: string } }[];
  expect(events.filter(({ args }) => args?.op_name === 'ConvGrad')).toHaveLength(53);
});

test('CUDA options reach ONNX Runtime', async () => {
  const { trainingModel, checkpoint } = artifacts();
  await using checkpointState = await CheckpointState.load(checkpoint);
  const create = TrainingSession.create({
    checkpointState,
    trainModel: trainingModel,
    options: { cuda: { deviceId: 0, providerOptions: { no_such_option: '1' } } },
  });
  await expect(create).rejects.toThrow(
    // The CPU build, the CUDA build, and the CUDA build on a machine without CUDA.
    /could not (make|set) CUDA options: .*(not enabled in this build|no_such_option|cannot open shared object)/,
  );
});
