import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { GraphBuilder, tensor } from '../../onnx/graph.ts';
import {
  ADAM_DEFAULTS,
  type Artifacts,
  buildArtifacts,
  decodeModel,
  type GraphOptimizer,
  headOnly,
  type Kernels,
  LOSS,
  type LossOptions,
  type Model,
  type Optimizer,
  UPDATE_INPUTS,
} from '../../onnx/index.ts';
import { Layers } from '../../onnx/layers.ts';
import { OPSET } from '../../onnx/model.ts';
import { CheckpointState, type Tensor, TrainingSession } from '../../src/runtime/index.ts';
import { openSession } from '../../src/training/session.ts';
import trajectories from './update-trajectories.json' with { type: 'json' };

const [BATCH, FEATURES, CLASSES] = [10, 4, 3];
type Case = (typeof trajectories.cases)[number];
const KERNELS = ['stock', 'native'] as const;

/** The linear classifier of update-trajectories.py. */
function classifier(): Model {
  const graph = new GraphBuilder('linear');
  const layers = new Layers(graph, (_, dims, kind) => {
    const size = dims.reduce((product, length) => product * length, 1);
    const at = (index: number) => Math.cos(Math.floor(index / CLASSES) * 1.7 + (index % CLASSES));
    return Float32Array.from({ length: size }, (_, index) => (kind === 'linear' ? at(index) : 0));
  });
  const features = graph.input(tensor('features', 'float32', 'batch', FEATURES));
  graph.output(layers.linear(features, 'fc_0', 'logits', CLASSES));
  return { graph: graph.build(), opsets: new Map([['', OPSET]]), metadata: new Map() };
}

function optimizerOf(wanted: Case): GraphOptimizer {
  const momentum = wanted.momentum ?? 0;
  return {
    algorithm:
      wanted.kind === 'adam'
        ? { kind: 'adam', beta1: 0.9, beta2: 0.999, epsilon: 1e-8 }
        : { kind: 'sgd', momentum, nesterov: wanted.nesterov ?? false },
    weightDecay: wanted.decay ?? 0,
    decays: (name) => name === 'fc_0.w_0',
    rate: (name) => (name === 'fc_0.b_0' ? wanted.factor : 1),
    ...(wanted.clip !== undefined && { clipNorm: wanted.clip }),
  };
}

function planOf(wanted: Case) {
  const loss = {
    ...(wanted.smoothing !== undefined && { labelSmoothing: wanted.smoothing }),
    ...(wanted.weights && { classWeights: wanted.weights }),
    softLabels: wanted.soft ?? false,
  };
  return { ...headOnly('frozen', optimizerOf(wanted)), loss };
}

const open: AsyncDisposable[] = [];
afterAll(async () => {
  for (const one of open) await one[Symbol.asyncDispose]();
});

async function start(artifacts: Artifacts<Optimizer>) {
  const opened = await openSession(artifacts, { device: 'cpu', threads: 1 });
  open.push(opened);
  return opened;
}

const train = (wanted: Case, kernels: Kernels) => start(buildArtifacts(classifier(), { ...planOf(wanted), kernels }));

const classIn = (step: number, row: number) => (row + step) % CLASSES;

/** What some rows count in the mean over their step's batch: by the weight of their classes, where these have some. */
function shareOf({ weights, soft }: Case, step: number, rows: readonly number[]): number {
  const weightOf = (row: number) => (soft ? 1 : (weights?.[classIn(step, row)] ?? 1));
  const sum = (some: readonly number[]) => some.reduce((total, row) => total + weightOf(row), 0);
  return sum(rows) / sum(Array.from({ length: BATCH }, (_, row) => row));
}

/** Rows of a step's batch, with the share of the update's pictures that they are. */
function feeds(wanted: Case, step: number, rows: readonly number[], last: boolean): Record<string, Tensor> {
  const { rate, soft } = wanted;
  const data = Float32Array.from({ length: rows.length * FEATURES }, (_, index) => {
    const row = rows[Math.floor(index / FEATURES)] as number;
    return Math.sin(1 + step * 0.7 + row * 1.3 + (index % FEATURES) * 2.1);
  });
  const classOf = (row: number) => classIn(step, row);
  const shares = (row: number) =>
    Array.from({ length: CLASSES }, (_, index) => [0.7, 0.3, 0][(index - classOf(row) + CLASSES) % CLASSES] as number);
  const label: Tensor = soft
    ? { type: 'float32', dims: [rows.length, CLASSES], data: Float32Array.from(rows.flatMap(shares)) }
    : { type: 'int64', dims: [rows.length], data: BigInt64Array.from(rows, (row) => BigInt(classOf(row))) };
  return {
    features: { type: 'float32', dims: [rows.length, FEATURES], data },
    label,
    [UPDATE_INPUTS.update]: { type: 'bool', dims: [1], data: Uint8Array.of(Number(last)) },
    [UPDATE_INPUTS.learningRate]: { type: 'float32', dims: [1], data: Float32Array.of(rate) },
    [UPDATE_INPUTS.lossWeight]: { type: 'float32', dims: [], data: Float32Array.of(shareOf(wanted, step, rows)) },
  };
}

/** Trains by batches that are cut into parts of the given sizes. @returns the mean loss of each update's pictures */
async function run(session: TrainingSession, wanted: Case, parts: readonly number[], steps: readonly number[]) {
  const losses: number[] = [];
  for (const step of steps) {
    let first = 0;
    let loss = 0;
    for (const [index, size] of parts.entries()) {
      const rows = Array.from({ length: size }, (_, row) => first + row);
      const outputs = await session.trainStep(feeds(wanted, step, rows, index === parts.length - 1));
      expect([...(outputs['updated']?.data ?? [])]).toEqual([Number(index === parts.length - 1)]);
      loss += (outputs[LOSS]?.data[0] as number) * shareOf(wanted, step, rows);
      first += size;
    }
    await session.lazyResetGrad();
    losses.push(loss);
  }
  return losses;
}

const steps = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index);
const numbers = async (state: CheckpointState, name: string) => (await state.getParameter(name)).data as Float32Array;

function expectClose(received: Iterable<number>, expected: readonly number[]): void {
  const values = [...received];
  expect(values).toHaveLength(expected.length);
  for (const [index, value] of values.entries()) {
    expect(Math.abs(value - (expected[index] as number))).toBeLessThan(1e-5);
  }
}

const CASES = trajectories.cases.flatMap((wanted) =>
  KERNELS.map(
    (kernels) => [`${wanted.name}, bias x ${wanted.factor}, by ${kernels} kernels`, wanted, kernels] as const,
  ),
);
describe.each(CASES)('%s', (_, wanted, kernels) => {
  const { expected } = wanted;

  it("goes PyTorch's way for 20 steps", async () => {
    const { session, state } = await train(wanted, kernels);
    expectClose(await run(session, wanted, [BATCH], steps(0, 20)), expected.losses);
    expectClose(await numbers(state, 'fc_0.w_0'), expected.weight);
    expectClose(await numbers(state, 'fc_0.b_0'), expected.bias);
  });

  it('goes the same way when its batches come in parts of uneven size', async () => {
    const { session, state } = await train(wanted, kernels);
    expectClose(await run(session, wanted, [4, 4, 2], steps(0, 20)), expected.losses);
    expectClose(await numbers(state, 'fc_0.w_0'), expected.weight);
  });
});

describe("ONNX Runtime's own Adam", () => {
  it("goes PyTorch's way for 20 steps, too", async () => {
    const wanted = trajectories.cases[0] as Case;
    const { session, state } = await start(buildArtifacts(classifier(), headOnly('frozen', ADAM_DEFAULTS)));
    await session.setLearningRate(wanted.rate);
    const losses: number[] = [];
    for (const step of steps(0, 20)) {
      const { features, label } = feeds(wanted, step, steps(0, BATCH), true) as Record<'features' | 'label', Tensor>;
      const outputs = await session.trainStep({ features, label });
      losses.push(outputs[LOSS]?.data[0] as number);
      await session.optimizerStep();
      await session.lazyResetGrad();
    }
    expectClose(losses, wanted.expected.losses);
    expectClose(await numbers(state, 'fc_0.w_0'), wanted.expected.weight);
    expectClose(await numbers(state, 'fc_0.b_0'), wanted.expected.bias);
  });
});

describe.each(KERNELS)('the state of an optimizer with %s kernels', (kernels) => {
  it('is saved with the checkpoint: a run that is taken up again goes on as if it had not stopped', async () => {
    const wanted = trajectories.cases[0] as Case;
    const whole = await train(wanted, kernels);
    const losses = await run(whole.session, wanted, [BATCH], steps(0, 12));

    const artifacts = buildArtifacts(classifier(), { ...planOf(wanted), kernels });
    const begun = await train(wanted, kernels);
    await run(begun.session, wanted, [BATCH], steps(0, 7));
    const file = join(await mkdtemp(join(tmpdir(), 'ortune-update-')), 'checkpoint');
    await begun.state.save(file);
    const state = await CheckpointState.load(file);
    const session = await TrainingSession.create({ checkpointState: state, trainModel: artifacts.trainingModel });
    open.push(session, state);
    expect(await run(session, wanted, [BATCH], steps(7, 12))).toEqual(losses.slice(7));
    await rm(dirname(file), { recursive: true });
  });
});

describe('a loss', () => {
  const build = (loss: LossOptions) =>
    buildArtifacts(classifier(), { ...headOnly('frozen', optimizerOf(trajectories.cases[0] as Case)), loss });

  it.each([
    [{ labelSmoothing: 1 }, 'label smoothing: expected a number from 0 to below 1, received 1'],
    [{ classWeights: [1, 2] }, 'class weights: expected 3 numbers from 0 up, not all 0, received [1, 2]'],
    [{ classWeights: [1, -1, 1] }, 'class weights: expected 3 numbers from 0 up, not all 0, received [1, -1, 1]'],
    [{ classWeights: [0, 0, 0] }, 'class weights: expected 3 numbers from 0 up, not all 0, received [0, 0, 0]'],
  ])('of %j is refused', (loss, message) => {
    expect(() => build(loss)).toThrow(message);
  });

  it('of the eval model is the plain one, whatever is trained on', () => {
    const plain = decodeModel(build({}).evalModel);
    expect(decodeModel(build({ labelSmoothing: 0.1, softLabels: true }).evalModel)).toEqual(plain);
  });
});
