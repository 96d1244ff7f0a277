import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  ADAM_DEFAULTS,
  type Artifacts,
  buildArtifacts,
  buildResNet,
  decodeModel,
  encodeModel,
  extract,
  LOGITS,
  type Model,
  type Node,
  wholeNetwork,
} from '../../onnx/index.ts';
import { runningStatistics } from '../../onnx/parameters.ts';
import { Random } from '../../src/random.ts';
import { CheckpointState, type Tensor, TrainingSession } from '../../src/runtime/index.ts';
import { basicBlocks, tinyNet, trainedLike } from '../onnx/tiny-nets.ts';
import { describeParity, official } from './official.ts';

const STEPS = 3;
const BATCH = 4;

const resNet = (options: Parameters<typeof buildResNet>[0], seed: number) =>
  extract(buildResNet(options, trainedLike(seed)), [], [LOGITS]);

const networks: [string, Model][] = [
  [
    'ResNet50, an eighth wide, 64 px, stride in the 3x3',
    resNet({ width: 0.125, imageSize: 64, classes: 5, strideIn: '3x3', inputNorm: 'imagenet' }, 1),
  ],
  [
    'ResNet50, a quarter wide, 32 px, stride in the 1x1',
    resNet({ width: 0.25, imageSize: 32, classes: 7, strideIn: '1x1', inputNorm: 'caffe' }, 2),
  ],
  [
    'blocks of another kind on a map that is not square',
    tinyNet(basicBlocks, { channels: 3, height: 14, width: 9 }, 'pool'),
  ],
];

/** Batches for a model: random pixels of its input's type, random labels. */
function batches({ graph }: Model): { input: Tensor; label: Tensor }[] {
  const { type, dims } = graph.inputs[0]!;
  const shape = [BATCH, ...(dims.slice(1) as number[])];
  const length = shape.reduce((product, side) => product * side, 1);
  return Array.from({ length: STEPS }, (_, step) => {
    const random = new Random(9, 'parity', step);
    const input: Tensor =
      type === 'uint8'
        ? { type, dims: shape, data: Uint8Array.from({ length }, () => random.integer(256)) }
        : { type: 'float32', dims: shape, data: Float32Array.from({ length }, () => random.normal()) };
    const classes = graph.outputs[0]!.dims[1] as number;
    const labels = BigInt64Array.from({ length: BATCH }, () => BigInt(random.integer(classes)));
    return { input, label: { type: 'int64', dims: [BATCH], data: labels } };
  });
}

/** Trains a few steps on one thread; all numbers that come of it. */
async function train(artifacts: Artifacts, model: Model, folder: string) {
  await using checkpointState = await CheckpointState.load(artifacts.checkpoint);
  await using session = await TrainingSession.create({
    checkpointState,
    trainModel: artifacts.trainingModel,
    evalModel: artifacts.evalModel,
    optimizerModel: artifacts.optimizerModel,
    options: { intraOpThreads: 1 },
  });
  await session.setLearningRate(0.01);
  // The official model names its second input and its first output otherwise.
  const [inputName, labelName] = session.trainInputNames as [string, string];
  const [lossName] = session.trainOutputNames as [string];
  const losses: number[] = [];
  const rounds = batches(model);
  const feeds = rounds.map(({ input, label }) => ({ [inputName]: input, [labelName]: label }));
  for (const feed of feeds) {
    const outputs = await session.trainStep(feed);
    losses.push(outputs[lossName]!.data[0] as number);
    await session.optimizerStep();
    await session.lazyResetGrad();
  }
  const evaluated = await session.evalStep(feeds[0]!);
  const parameters = new Map<string, Buffer>();
  const names = [...wholeNetwork(model, 'live', ADAM_DEFAULTS).trainable, ...runningStatistics(model.graph)];
  for (const name of names) {
    const { data } = await checkpointState.getParameter(name);
    parameters.set(name, Buffer.from(data.buffer, data.byteOffset, data.byteLength));
  }
  const path = join(folder, 'after');
  await checkpointState.save(path);
  return { losses, evalLoss: evaluated[lossName]!.data[0], parameters, checkpoint: await readFile(path) };
}

/** The official generator's artifacts, their optimizer set to Adam's numbers. */
async function officialArtifacts(model: Model, folder: string): Promise<Artifacts & { optimizer: Node }> {
  const [base, plan] = [join(folder, 'base.onnx'), join(folder, 'plan.json')];
  await writeFile(base, encodeModel(model));
  const trainable = [...wholeNetwork(model, 'live', ADAM_DEFAULTS).trainable];
  await writeFile(plan, JSON.stringify({ trainable, frozen: [...runningStatistics(model.graph)] }));
  await official('generate', base, plan, folder);
  const optimizer = decodeModel(await readFile(join(folder, 'optimizer_model.onnx')));
  const [node] = optimizer.graph.nodes as [Node];
  const ours = buildArtifacts(model, wholeNetwork(model, 'live', ADAM_DEFAULTS)).optimizerModel;
  const { attributes } = decodeModel(ours).graph.nodes[0]!;
  return {
    trainingModel: await readFile(join(folder, 'training_model.onnx')),
    evalModel: await readFile(join(folder, 'eval_model.onnx')),
    optimizerModel: encodeModel({ ...optimizer, graph: { ...optimizer.graph, nodes: [{ ...node, attributes }] } }),
    checkpoint: await readFile(join(folder, 'checkpoint')),
    optimizer: node,
  };
}

describeParity('training artifacts beside the official generator', () => {
  let root = '';
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'ortune-parity-'));
  });
  afterAll(() => rm(root, { recursive: true, force: true }));

  it.each(networks)('train the same, bit for bit: %s', async (_name, model) => {
    const folder = await mkdtemp(join(root, 'network-'));
    const theirs = await officialArtifacts(model, folder);
    const ours = buildArtifacts(model, wholeNetwork(model, 'live', ADAM_DEFAULTS));
    const expected = await train(theirs, model, folder);
    const actual = await train(ours, model, folder);

    // Something happened: the loss changed and every parameter moved.
    expect(new Set(expected.losses).size).toBe(STEPS);
    for (const [name, bytes] of expected.parameters) {
      expect(bytes.equals(model.graph.initializers.get(name)!.data), `${name} moved`).toBe(false);
    }
    expect(actual.losses).toEqual(expected.losses);
    expect(actual.evalLoss).toBe(expected.evalLoss);
    const different = [...expected.parameters].filter(([name, bytes]) => !bytes.equals(actual.parameters.get(name)!));
    expect(different.map(([name]) => name)).toEqual([]);
    // The saved state holds Adam's moments too.
    expect(actual.checkpoint.equals(expected.checkpoint)).toBe(true);
  });

  it('have the same optimizer, up to its numbers', async () => {
    const folder = await mkdtemp(join(root, 'optimizer-'));
    const model = networks[2]![1];
    const { optimizer } = await officialArtifacts(model, folder);
    const theirs = decodeModel(await readFile(join(folder, 'optimizer_model.onnx')));
    const ours = decodeModel(buildArtifacts(model, wholeNetwork(model, 'live', ADAM_DEFAULTS)).optimizerModel);
    expect(ours.graph.inputs).toEqual(theirs.graph.inputs);
    expect(ours.graph.outputs.map(({ type, dims }) => ({ type, dims }))).toEqual([{ type: 'bool', dims: [1] }]);
    const [node] = ours.graph.nodes as [Node];
    expect(ours.graph.nodes).toHaveLength(1);
    expect([node.domain, node.op, node.inputs]).toEqual([optimizer.domain, optimizer.op, optimizer.inputs]);
    const kinds = ({ attributes }: Node) =>
      new Map(Object.entries(attributes).map(([name, { kind }]) => [name, kind] as const));
    expect(kinds(node)).toEqual(kinds(optimizer));
    expect(ours.opsets).toEqual(theirs.opsets);
  });
});
