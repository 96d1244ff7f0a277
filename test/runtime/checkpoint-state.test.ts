import { join } from 'node:path';
import { expect, test } from 'vitest';
import { CheckpointState } from '../../src/runtime/index.ts';
import { artifacts, BIAS, batch } from './artifacts.ts';
import { artifactFiles, failure, lossOf, openSession, temporaryFolder } from './fixture.ts';

test('reads and replaces parameters', async () => {
  const { state } = await openSession();
  expect(await state.parameterInfo('conv1_weights')).toEqual({ type: 'float32', dims: [64, 3, 7, 7] });
  const weights = await state.getParameter('conv1_weights');
  expect(weights).toMatchObject({ type: 'float32', dims: [64, 3, 7, 7] });
  expect(weights.data).toHaveLength(64 * 3 * 7 * 7);

  const values = Float32Array.of(1, -2, 3, -4, 0.5);
  await state.updateParameter(BIAS, { type: 'float32', dims: [5], data: values });
  expect((await state.getParameter(BIAS)).data).toEqual(values);
});

test('a parameter takes only its own type and dimensions, and must exist', async () => {
  const { state } = await openSession();
  const shape = await failure(() =>
    state.updateParameter(BIAS, { type: 'float32', dims: [1], data: new Float32Array(1) }),
  );
  expect(shape).toMatchObject({ code: 'INVALID_TENSOR' });
  expect(shape.message).toBe(`parameter '${BIAS}' is float32 [5], but the new value is float32 [1]`);
  const type = await failure(() =>
    state.updateParameter(BIAS, { type: 'int64', dims: [5], data: new BigInt64Array(5) }),
  );
  expect(type.message).toBe(`parameter '${BIAS}' is float32 [5], but the new value is int64 [5]`);
  const unknown = await failure(() => state.getParameter('nothing'));
  expect(unknown.message).toBe(
    "ONNX Runtime could not read the parameter 'nothing': Parameter name nothing not found in checkpoint state.",
  );
  expect((await failure(() => state.parameterInfo('nothing'))).code).toBe('ORT_FAILED');
  expect((await failure(() => state.parameterInfo('a\0b'))).message).toContain('NUL');
});

test('parameters need an open session, and their description does not', async () => {
  const state = await CheckpointState.load(artifacts().checkpoint);
  expect(await state.parameterInfo(BIAS)).toEqual({ type: 'float32', dims: [5] });
  expect(await failure(() => state.getParameter(BIAS))).toMatchObject({ code: 'NO_SESSION' });
  const data = new Float32Array(5);
  expect(await failure(() => state.updateParameter(BIAS, { type: 'float32', dims: [5], data }))).toMatchObject({
    code: 'NO_SESSION',
  });
  await state.dispose();
});

test('properties keep their type, through a file too', async () => {
  const file = join(temporaryFolder(), 'checkpoint');
  {
    await using state = await CheckpointState.load(artifacts().checkpoint);
    await state.addProperty('epoch', 2n ** 62n);
    await state.addProperty('negative', -7n);
    await state.addProperty('rate', 0.1);
    await state.addProperty('names', 'Löwenzahn, 蒲公英');
    await state.addProperty('empty', '');
    await state.addProperty('epoch', 3n);
    await state.save(file);
  }
  await using state = await CheckpointState.load(file);
  expect(await state.getProperty('epoch')).toBe(3n);
  expect(await state.getProperty('negative')).toBe(-7n);
  expect(await state.getProperty('rate')).toBe(Math.fround(0.1));
  expect(await state.getProperty('names')).toBe('Löwenzahn, 蒲公英');
  expect(await state.getProperty('empty')).toBe('');
  const missing = await failure(() => state.getProperty('missing'));
  expect(missing.message).toBe("ONNX Runtime could not read the property 'missing': No property named missing");
  expect((await failure(() => state.addProperty('big', 2n ** 63n))).message).toContain('does not fit');
});

test('training goes on from a saved state exactly where it was', async () => {
  const { state, session } = await openSession();
  const train = async (on: typeof session, seed: number) => {
    const loss = lossOf(await on.trainStep(batch(4, seed)));
    await on.optimizerStep();
    await on.lazyResetGrad();
    return loss;
  };
  for (const seed of [1, 2, 3]) await train(session, seed);
  const folder = temporaryFolder();
  await state.save(join(folder, 'with'), { includeOptimizerState: true });
  await state.save(join(folder, 'without'), { includeOptimizerState: false });
  const expected = [await train(session, 4), await train(session, 5), await train(session, 6)];

  const resume = async (file: string) => {
    const { session } = await openSession(join(folder, file));
    return [await train(session, 4), await train(session, 5), await train(session, 6)];
  };
  expect(await resume('with')).toEqual(expected);
  const [first, ...later] = await resume('without');
  expect(first).toBe(expected[0]);
  expect(later).not.toEqual(expected.slice(1));
});

test('a state whose session has gone can still be saved', async () => {
  const { state, session } = await openSession();
  await session.trainStep(batch(4));
  await session.optimizerStep();
  const trained = (await state.getParameter(BIAS)).data;
  await session.dispose();
  const file = join(temporaryFolder(), 'checkpoint');
  await state.save(file);
  const { state: saved } = await openSession(file);
  expect((await saved.getParameter(BIAS)).data).toEqual(trained);
});

test('what is no checkpoint is refused in plain words', async () => {
  const { trainModel } = artifactFiles();
  expect(await failure(() => CheckpointState.load('/nowhere/checkpoint'))).toMatchObject({
    code: 'FILE_NOT_FOUND',
    message: 'there is no checkpoint file /nowhere/checkpoint',
  });
  const verification = 'ONNX Runtime could not load the checkpoint: Checkpoint verification failed.';
  expect((await failure(() => CheckpointState.load(trainModel))).message).toBe(verification);
  expect((await failure(() => CheckpointState.load(new Uint8Array(64)))).message).toBe(verification);
  expect((await failure(() => CheckpointState.load(new Uint8Array(0)))).code).toBe('ORT_FAILED');
  expect((await failure(() => CheckpointState.load('a\0b'))).code).toBe('FILE_NOT_FOUND');
  await using state = await CheckpointState.load(artifacts().checkpoint);
  const unwritable = await failure(() => state.save('/nowhere/checkpoint'));
  expect(unwritable).toMatchObject({ code: 'OUTPUT' });
  expect(unwritable.message).toMatch(/^\/nowhere\/checkpoint cannot be written: ENOENT: No such file/);
  expect(unwritable.message).not.toMatch(/\.cc:\d/);
});
