import { expect, test } from 'vitest';
import { CheckpointState, type Tensor, type Tensors, TrainingSession } from '../../src/runtime/index.ts';
import { artifacts, batch } from './artifacts.ts';
import { artifactFiles, failure, openSession, temporaryFolder } from './fixture.ts';

const { image, label } = batch(4);

/** As JavaScript code could pass it. */
const untyped = (tensor: unknown) => tensor as Tensor;

test.each<[string, Tensors, string, string]>([
  [
    'an input is missing',
    { image },
    'MISSING_INPUT',
    "the train step lacks the input 'label'; its inputs are 'image', 'label'",
  ],
  [
    'an input is unknown',
    { image, label, mask: label },
    'UNKNOWN_INPUT',
    "the train step has no input 'mask'; its inputs are 'image', 'label'",
  ],
  [
    'the type is another',
    { image, label: { type: 'float32', dims: [4], data: new Float32Array(4) } },
    'INPUT_TYPE',
    "the train step input 'label' must have type int64, but has float32",
  ],
  [
    'the rank is another',
    { image, label: { ...label, dims: [4, 1] } },
    'INPUT_SHAPE',
    "the train step input 'label' must have dimensions [batch], but has [4,1]",
  ],
  [
    'a fixed dimension is another',
    { image: { ...image, dims: [4, 16, 64, 3] }, label },
    'INPUT_SHAPE',
    "the train step input 'image' must have dimensions [batch,32,32,3], but has [4,16,64,3]",
  ],
  [
    'the batches differ',
    { image, label: { type: 'int64', dims: [3], data: new BigInt64Array(3) } },
    'INPUT_SHAPE',
    "the train step input 'label' must have dimensions [batch], but has [3]: 'batch' is 4 in input 'image' and 3 here",
  ],
  [
    'the batch is empty',
    batch(0),
    'INPUT_SHAPE',
    "the train step input 'image' must have dimensions [batch,32,32,3], but has [0,32,32,3]: 'batch' must be at least 1",
  ],
  [
    'the data is too short',
    { image, label: { ...label, data: new BigInt64Array(3) } },
    'INVALID_TENSOR',
    "the train step input 'label': dimensions [4] of int64 take 4 elements, but the data has 3",
  ],
  [
    'the array is of another type',
    { image, label: untyped({ ...label, data: new Int32Array(4) }) },
    'INVALID_TENSOR',
    "the train step input 'label': int64 needs a BigInt64Array as data, but has Int32Array",
  ],
  [
    'the data is no typed array',
    { image, label: untyped({ ...label, data: [0n] }) },
    'INVALID_TENSOR',
    "the train step input 'label': int64 needs a BigInt64Array as data, but has object",
  ],
  [
    'the type is unknown',
    { image, label: untyped({ ...label, type: 'int32' }) },
    'INVALID_TENSOR',
    "the train step input 'label': type must be one of uint8, bool, float32, int64, but is int32",
  ],
  [
    'a dimension is negative',
    { image, label: { ...label, dims: [-4] } },
    'INVALID_TENSOR',
    "the train step input 'label': dimension -4 is not a count",
  ],
  [
    'a dimension is no integer',
    { image, label: { ...label, dims: [3.5] } },
    'INVALID_TENSOR',
    "the train step input 'label': dimension 3.5 is not a count",
  ],
  [
    'the dimensions overflow',
    { image, label: { ...label, dims: [2 ** 40, 2 ** 40] } },
    'INVALID_TENSOR',
    "the train step input 'label': dimensions [1099511627776,1099511627776] are too large",
  ],
  [
    'a tensor is nothing',
    { image, label: untyped(undefined) },
    'INVALID_TENSOR',
    "the train step input 'label' must be a tensor, but is undefined",
  ],
])('refuses a step when %s', async (_, feeds, code, message) => {
  const { session } = await openSession();
  expect(await failure(() => session.trainStep(feeds))).toMatchObject({ code, message });
  const evaluation = message.replace('the train step', 'the eval step');
  expect(await failure(() => session.evalStep(feeds))).toMatchObject({ code, message: evaluation });
});

test.each([
  ['trainStep', 5n, "the train step input 'label': expected labels from 0 to 4, received 5 in row 2"],
  ['trainStep', -1n, "the train step input 'label': expected labels from 0 to 4, received -1 in row 2"],
  ['evalStep', 5n, "the eval step input 'label': expected labels from -1 to 4, received 5 in row 2"],
  ['evalStep', -2n, "the eval step input 'label': expected labels from -1 to 4, received -2 in row 2"],
] as const)('%s refuses the label %s, which is no class', async (step, value, message) => {
  const wrong = { ...label, data: label.data.slice() };
  wrong.data[2] = value;
  const { session } = await openSession();
  expect(await failure(() => session[step]({ image, label: wrong }))).toMatchObject({ code: 'LABEL', message });
  const { checkpoint, ...models } = artifactFiles();
  await using checkpointState = await CheckpointState.load(checkpoint);
  await using fromFiles = await TrainingSession.create({ checkpointState, ...models });
  expect(await failure(() => fromFiles[step]({ image, label: wrong }))).toMatchObject({ code: 'LABEL', message });
});

test('a row of label -1 counts for nothing in evaluation', async () => {
  const { session } = await openSession();
  const data = BigInt64Array.of(...label.data.slice(0, 3), -1n);
  const filled = await session.evalStep({ image, label: { ...label, data } });
  const rows = (count: number) => ({
    image: { ...image, dims: [count, 32, 32, 3], data: image.data.slice(0, count * 32 * 32 * 3) },
    label: { ...label, dims: [count], data: label.data.slice(0, count) },
  });
  expect(filled['loss']?.data[0]).toBeCloseTo(Number((await session.evalStep(rows(3)))['loss']?.data[0]), 5);
});

test('a refused step leaves the session as it was', async () => {
  const { session } = await openSession();
  await failure(() => session.trainStep({ image }));
  expect((await session.trainStep({ image, label }))['loss']?.dims).toEqual([]);
});

test('accepts a Buffer and a view into a larger buffer', async () => {
  const { session } = await openSession();
  const expected = await session.evalStep({ image, label });
  const larger = new Uint8Array(image.data.length + 3);
  larger.set(image.data, 3);
  expect(await session.evalStep({ image: { ...image, data: larger.subarray(3) }, label })).toEqual(expected);
  expect(await session.evalStep({ image: { ...image, data: Buffer.from(image.data) }, label })).toEqual(expected);
});

test('refuses learning rates and buffers that make no sense', async () => {
  const { session } = await openSession();
  for (const rate of [Number.NaN, -1, Number.POSITIVE_INFINITY]) {
    expect(await failure(() => session.setLearningRate(rate))).toMatchObject({ code: 'INVALID_ARGUMENT' });
  }
  const size = await session.parametersSize(true);
  const error = await failure(() => session.copyBufferToParameters(new Float32Array(3), true));
  expect(error).toMatchObject({
    code: 'INVALID_TENSOR',
    message: `the parameters take ${size} numbers, but the buffer has 3`,
  });
});

test('what was left out at creation is named when it is needed', async () => {
  await using checkpointState = await CheckpointState.load(artifacts().checkpoint);
  await using session = await TrainingSession.create({ checkpointState, trainModel: artifacts().trainingModel });
  await session.trainStep({ image, label });
  expect(await failure(() => session.evalStep({ image, label }))).toMatchObject({ code: 'NO_EVAL_MODEL' });
  expect(await failure(() => session.exportModelForInferencing('/tmp/x', ['logits']))).toMatchObject({
    code: 'NO_EVAL_MODEL',
  });
  for (const call of [
    () => session.optimizerStep(),
    () => session.setLearningRate(1),
    () => session.getLearningRate(),
  ]) {
    expect(await failure(call)).toMatchObject({ code: 'NO_OPTIMIZER_MODEL' });
  }
});

test('export needs models from files and an output that exists', async () => {
  const { session } = await openSession();
  expect(await failure(() => session.exportModelForInferencing('/tmp/x', ['logits']))).toMatchObject({
    code: 'EXPORT_NEEDS_PATHS',
  });
  const { checkpoint, ...models } = artifactFiles();
  await using checkpointState = await CheckpointState.load(checkpoint);
  await using fromFiles = await TrainingSession.create({ checkpointState, ...models });
  const error = await failure(() => fromFiles.exportModelForInferencing(`${temporaryFolder()}/x`, ['nothing']));
  expect(error.code).toBe('ORT_FAILED');
  expect(error.message).toMatch(/could not export the model to .*nothing.*could not be found/);
  expect(error.message).not.toMatch(/\.cc:\d/);
});

test('a state has one session at a time', async () => {
  const { state, session } = await openSession();
  const trainModel = artifacts().trainingModel;
  const second = () => TrainingSession.create({ checkpointState: state, trainModel });
  expect(await failure(second)).toMatchObject({ code: 'STATE_IN_USE' });
  await session.dispose();
  await (await second()).dispose();
});

test('models that are none, or of the wrong kind, are refused by name', async () => {
  const { trainingModel, evalModel, optimizerModel, checkpoint } = artifacts();
  const files = artifactFiles();
  await using checkpointState = await CheckpointState.load(checkpoint);
  const create = (models: Omit<Parameters<typeof TrainingSession.create>[0], 'checkpointState'>) =>
    failure(() => TrainingSession.create({ checkpointState, ...models }));

  expect(await create({ trainModel: '/nowhere/x.onnx' })).toMatchObject({ code: 'FILE_NOT_FOUND' });
  const { trainModel } = files;
  expect(await create({ trainModel, evalModel: '/nowhere/x.onnx' })).toMatchObject({ code: 'FILE_NOT_FOUND' });
  expect(await create({ trainModel, optimizerModel: '/nowhere/x.onnx' })).toMatchObject({ code: 'FILE_NOT_FOUND' });
  expect(await create({ trainModel: trainingModel.subarray(0, 1000) })).toMatchObject({ code: 'INVALID_MODEL' });
  const swapped = await create({ trainModel: evalModel, evalModel: trainingModel });
  expect(swapped).toMatchObject({ code: 'INVALID_MODEL' });
  expect(swapped.message).toContain("trainModel is no training model: it has no input 'lazy_reset_grad'");
  const mixed = await create({ trainModel, evalModel });
  expect(mixed.message).toBe(
    'the models must be all paths or all bytes, but evalModel is given as bytes, and trainModel as a path',
  );
  expect((await create({ trainModel: trainingModel, optimizerModel: evalModel })).code).toBe('ORT_FAILED');
  // Nothing of this is left behind on the state.
  await (await TrainingSession.create({ checkpointState, trainModel: trainingModel, optimizerModel })).dispose();
});

test.each([
  [
    { graphOptimization: 'most' },
    "graphOptimization must be one of 'disabled', 'basic', 'extended', 'all', but is 'most'",
  ],
  [{ logSeverity: 'loud' }, "logSeverity must be one of 'verbose', 'info', 'warning', 'error', 'fatal', but is 'loud'"],
  [{ intraOpThreads: -1 }, 'intraOpThreads must be 0 (one per core) to 1024, but is -1'],
  [{ interOpThreads: 5000 }, 'interOpThreads must be 0 (one per core) to 1024, but is 5000'],
])('refuses the options %o', async (options, message) => {
  await using checkpointState = await CheckpointState.load(artifacts().checkpoint);
  const create = () =>
    TrainingSession.create({ checkpointState, trainModel: artifacts().trainingModel, options: options as object });
  expect(await failure(create)).toMatchObject({ code: 'INVALID_ARGUMENT', message });
});
