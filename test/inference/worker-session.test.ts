import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildResNet, encodeModelChunks, IMAGE, LOGITS, PROBABILITIES } from '../../onnx/index.ts';
import { type Feeds, InferenceWorker } from '../../src/inference/worker-session.ts';

const SIDE = 64;
const bytes = [...encodeModelChunks(buildResNet({ width: 0.125, classes: 3, imageSize: SIDE }))];
const image = (size: number, value = 100): Feeds => ({
  [IMAGE]: { type: 'uint8', dims: [size, SIDE, SIDE, 3], data: new Uint8Array(size * SIDE * SIDE * 3).fill(value) },
});

let folder: string;
let worker: InferenceWorker;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ortune-worker-'));
  worker = await InferenceWorker.create(bytes, { threads: 1 });
});
afterAll(async () => {
  await worker.dispose();
  await rm(folder, { recursive: true });
});

describe('a model', () => {
  it('is taken in pieces or from a file, and tells its metadata and inputs', async () => {
    const file = join(folder, 'model.onnx');
    await writeFile(file, bytes);
    await using fromFile = await InferenceWorker.create(file, { threads: 1 });
    expect(fromFile.info).toEqual(worker.info);
    expect(fromFile.info.inputs).toEqual([{ name: 'image', dims: ['batch', SIDE, SIDE, 3] }]);
    expect([...fromFile.info.metadata.keys()]).toEqual(['ortune.network']);
    expect(await fromFile.run(image(2))).toEqual(await worker.run(image(2)));
  });

  it.each([
    ['that is not there', 'absent.onnx', undefined, /absent\.onnx: ENOENT/],
    ['that is text', 'text.onnx', 'no model at all', /text\.onnx: expected an ONNX model, but the file does not parse/],
    ['that is empty', 'empty.onnx', '', /empty\.onnx: expected an ONNX model, but the file holds no graph/],
  ])('%s is refused by name', async (_, name, contents, message) => {
    const file = join(folder, name);
    if (contents !== undefined) await writeFile(file, contents);
    const error = await InferenceWorker.create(file).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      name: 'OrtuneError',
      code: 'MODEL_INVALID',
      message: expect.stringMatching(message),
    });
  });

  it('that onnxruntime-node does not take is refused with its reason', async () => {
    const { graph, ...rest } = buildResNet({ width: 0.125, classes: 3, imageSize: 32 });
    const nodes = graph.nodes.map((node) => (node.op === 'Relu' ? { ...node, op: 'Rectify' } : node));
    const pieces = [...encodeModelChunks({ ...rest, graph: { ...graph, nodes } })];
    await expect(InferenceWorker.create(pieces)).rejects.toMatchObject({
      code: 'MODEL_INVALID',
      message: expect.stringMatching(/^the model: .*Rectify/s),
    });
  });
});

describe('a run', () => {
  it('gives all outputs, and several are answered each with its own', async () => {
    const sizes = [3, 1, 2];
    const answers = await Promise.all(sizes.map((size) => worker.run(image(size, size * 50))));
    expect(answers.map((outputs) => outputs[LOGITS]?.dims)).toEqual(sizes.map((size) => [size, 3]));
    const alone = await worker.run(image(1, 50));
    expect(answers[1]?.[PROBABILITIES]).toEqual(alone[PROBABILITIES]);
    expect(alone[PROBABILITIES]?.data).toBeInstanceOf(Float32Array);
  });

  it.each<[string, Feeds, RegExp]>([
    ['no feed', {}, /image/],
    ['an unknown name', { picture: image(1)[IMAGE]! }, /image/],
    ['another side', { [IMAGE]: { type: 'uint8', dims: [1, 32, 32, 3], data: new Uint8Array(32 * 32 * 3) } }, /image/],
    ['another type', { [IMAGE]: { type: 'float32', dims: [1, 2], data: new Float32Array(2) } }, /image|type/],
    ['dims that are not the data', { [IMAGE]: { type: 'uint8', dims: [9, 9], data: new Uint8Array(3) } }, /81/],
  ])('with %s is rejected, and the next goes on', async (_, feeds, reason) => {
    await expect(worker.run(feeds)).rejects.toMatchObject({
      code: 'MODEL_RUN',
      message: expect.stringMatching(reason),
    });
    expect((await worker.run(image(1)))[LOGITS]?.dims).toEqual([1, 3]);
  });

  it('gives only the outputs that are wanted', async () => {
    expect(worker.info.outputs).toEqual([
      { name: LOGITS, dims: ['batch', 3] },
      { name: PROBABILITIES, dims: ['batch', 3] },
    ]);
    expect(await worker.run(image(1), [LOGITS])).toEqual({ [LOGITS]: (await worker.run(image(1)))[LOGITS] });
    await expect(worker.run(image(1), ['maps'])).rejects.toMatchObject({ code: 'MODEL_RUN' });
  });

  it('leaves the event loop free', async () => {
    const feeds = image(256);
    const started = performance.now();
    let last = started;
    let longest = 0;
    const clock = setInterval(() => {
      longest = Math.max(longest, performance.now() - last);
      last = performance.now();
    }, 2);
    await worker.run(feeds);
    clearInterval(clock);
    const whole = performance.now() - started;
    expect(whole).toBeGreaterThan(40);
    expect(longest).toBeLessThan(whole / 2);
  });
});

describe('disposal', () => {
  // Under a run that is torn off, onnxruntime-node ends the whole process; more often than not, so it is tried again.
  it.each([1, 2, 3])('rejects what is still being asked, and what is asked later (%i)', async () => {
    const closing = await InferenceWorker.create(bytes, { threads: 1 });
    const pending = [1, 2, 3].map(() => closing.run(image(64)));
    const settled = Promise.allSettled(pending);
    // Let the first begin.
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(closing.ready).toBe(true);
    await closing.dispose();
    expect(closing.ready).toBe(false);
    for (const { status } of (await settled).slice(1)) expect(status).toBe('rejected');
    await expect(pending[1]).rejects.toMatchObject({ code: 'MODEL_CLOSED' });
    await expect(closing.run(image(1))).rejects.toMatchObject({ code: 'MODEL_CLOSED' });
    await closing.dispose();
  });
});
