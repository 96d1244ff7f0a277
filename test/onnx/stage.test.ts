import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  ADAM_DEFAULTS,
  type Artifacts,
  buildArtifacts,
  buildResNet,
  decodeModel,
  extract,
  floatsOf,
  HEAD_PARAMETERS,
  headOnly,
  LOGITS,
  type Model,
  PIXELS,
  type TrainingPlan,
  wholeNetwork,
} from '../../onnx/index.ts';
import { affineParameters, runningStatistics } from '../../onnx/parameters.ts';
import { CheckpointState, TrainingSession } from '../../src/runtime/index.ts';
import { batchFor, feeds } from './gradients.ts';
import { tinyNet, trainedLike } from './tiny-nets.ts';

const network = extract(buildResNet({ width: 1 / 8, imageSize: 64, classes: 3 }, trainedLike(1)), [PIXELS], [LOGITS]);
const batch = batchFor(network, 6);
const statistics = runningStatistics(network.graph);
const head = new Set<string>(HEAD_PARAMETERS);
const names = [...network.graph.initializers.keys()];
const STEPS = 3;

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ortune-stage-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function open(artifacts: Artifacts) {
  const path = async (name: keyof Artifacts) => {
    const file = join(folder, `${name}.onnx`);
    await writeFile(file, artifacts[name]);
    return file;
  };
  const checkpointState = await CheckpointState.load(artifacts.checkpoint);
  const session = await TrainingSession.create({
    checkpointState,
    trainModel: await path('trainingModel'),
    evalModel: await path('evalModel'),
    optimizerModel: await path('optimizerModel'),
    options: { intraOpThreads: 1 },
  });
  return { checkpointState, session };
}

/** Trains a few steps, exports the network by the library, and says which tensors' bytes are not what they were. */
async function changedBy(plan: TrainingPlan): Promise<{ changed: Set<string>; parameters: number; losses: number[] }> {
  const { checkpointState, session } = await open(buildArtifacts(network, plan));
  const losses: number[] = [];
  for (let step = 0; step < STEPS; step++) {
    const { loss } = await session.trainStep(feeds(batch));
    losses.push(loss!.data[0] as number);
    await session.optimizerStep();
    await session.lazyResetGrad();
  }
  const exported = join(folder, 'exported.onnx');
  await session.exportModelForInferencing(exported, [LOGITS]);
  const parameters = await session.parametersSize(false);
  await session.dispose();
  await checkpointState.dispose();

  const after = decodeModel(await readFile(exported)).graph.initializers;
  const bytesAfter = (name: string) => after.get(name)!.data;
  const changed = names.filter((name) => Buffer.compare(bytesAfter(name), network.graph.initializers.get(name)!.data));
  return { changed: new Set(changed), parameters, losses };
}

const sizeOf = (wanted: Iterable<string>) =>
  [...wanted].reduce((sum, name) => sum + floatsOf(network.graph.initializers.get(name)!).length, 0);

describe('a stage of training', () => {
  it('of the head on a frozen backbone changes the head and no other byte', async () => {
    const { changed, parameters, losses } = await changedBy(headOnly('frozen', ADAM_DEFAULTS));
    expect(changed).toEqual(head);
    expect(parameters).toBe(sizeOf(head));
    expect(losses.at(-1)).toBeLessThan(losses[0]!);
  });

  it('of the head with live BatchNorm moves the running statistics too, and no weight, scale or offset', async () => {
    const { changed, parameters } = await changedBy(headOnly('live', ADAM_DEFAULTS));
    expect(changed).toEqual(new Set([...head, ...statistics]));
    expect(parameters).toBe(sizeOf(changed));
  });

  it('of the whole network with BatchNorm on its running statistics changes all but these', async () => {
    const { changed } = await changedBy(wholeNetwork(network, 'affine', ADAM_DEFAULTS));
    expect(changed).toEqual(new Set(names.filter((name) => !statistics.has(name))));
  });

  it('of the whole network with frozen BatchNorm leaves its scales and offsets too', async () => {
    const { changed } = await changedBy(wholeNetwork(network, 'frozen', ADAM_DEFAULTS));
    const affine = affineParameters(network.graph);
    expect(changed).toEqual(new Set(names.filter((name) => !statistics.has(name) && !affine.has(name))));
  });

  it('of the whole network with live BatchNorm changes everything', async () => {
    const { changed, parameters } = await changedBy(wholeNetwork(network, 'live', ADAM_DEFAULTS));
    expect(changed).toEqual(new Set(names));
    expect(parameters).toBe(sizeOf(names));
  });
});

describe('the checkpoint', () => {
  it('gives the library every parameter by name, shape and value', async () => {
    const plan = wholeNetwork(network, 'live', ADAM_DEFAULTS);
    const artifacts = buildArtifacts(network, plan);
    expect(new TextDecoder().decode(artifacts.checkpoint.subarray(4, 8))).toBe('ODTC');
    const { checkpointState, session } = await open(artifacts);
    for (const [name, { dims, data }] of network.graph.initializers) {
      const parameter = await checkpointState.getParameter(name);
      expect([parameter.type, [...parameter.dims]]).toEqual(['float32', dims]);
      expect(Buffer.compare(Buffer.from(parameter.data.buffer), data), name).toBe(0);
    }
    expect(await session.parametersSize(true)).toBe(sizeOf(plan.trainable));
    await session.dispose();
    await checkpointState.dispose();
  });

  it('holds nothing of a frozen backbone', async () => {
    const { checkpointState, session } = await open(buildArtifacts(network, headOnly('frozen', ADAM_DEFAULTS)));
    for (const name of names) {
      const parameter = checkpointState.getParameter(name);
      if (head.has(name)) await expect(parameter).resolves.toBeDefined();
      else await expect(parameter, name).rejects.toThrow();
    }
    await session.dispose();
    await checkpointState.dispose();
  });
});

describe('running statistics', () => {
  it("move a tenth of the way to the batch's mean and, on the CPU, its biased variance", async () => {
    const model: Model = tinyNet((layers, pixels) => layers.batchNorm(pixels, 'bn'), {
      channels: 2,
      height: 3,
      width: 4,
    });
    const pixels = batchFor(model, 5);
    const { checkpointState, session } = await open(buildArtifacts(model, headOnly('live', ADAM_DEFAULTS)));
    await session.trainStep(feeds(pixels));
    const read = async (name: string) => [...((await checkpointState.getParameter(name)).data as Float32Array)];
    const [mean, variance] = [await read('bn_mean'), await read('bn_variance')];
    await session.dispose();
    await checkpointState.dispose();

    const initial = (name: string) => floatsOf(model.graph.initializers.get(name)!);
    for (let channel = 0; channel < 2; channel++) {
      const values = [...pixels.pixels.data].filter((_, index) => Math.floor(index / 12) % 2 === channel);
      expect(values).toHaveLength(60);
      const average = values.reduce((sum, value) => sum + value, 0) / 60;
      const spread = values.reduce((sum, value) => sum + (value - average) ** 2, 0) / 60;
      expect(mean[channel]).toBeCloseTo(0.9 * initial('bn_mean')[channel]! + 0.1 * average, 6);
      expect(variance[channel]).toBeCloseTo(0.9 * initial('bn_variance')[channel]! + 0.1 * spread, 6);
    }
  });
});
