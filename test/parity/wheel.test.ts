import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type Artifacts,
  buildArtifacts,
  type GraphOptimizer,
  type Optimizer,
  type TrainingPlan,
  UPDATE_INPUTS,
} from '../../onnx/index.ts';
import { CheckpointState, type Tensor, TrainingSession } from '../../src/runtime/index.ts';
import { NETWORKS, type Part, plansFor } from './networks.ts';
import { describeParity, official } from './official.ts';
import { type Batch, batchesFor, officialArtifacts } from './training.ts';

/** Tensors in the order of a model's inputs. */
type Inputs = readonly Tensor[];
interface Task {
  readonly rate: number;
  /** `last`: whether the gradients that have gathered make an update and are dropped. */
  readonly steps: readonly { readonly inputs: Inputs; readonly last: boolean }[];
  readonly evaluation: Inputs;
}

const CLIPPED_ADAMW: GraphOptimizer = {
  algorithm: { kind: 'adam', beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
  weightDecay: 0.05,
  decays: (name) => name.endsWith('_weights') || name.endsWith('.w_0'),
  rate: (name) => (name.startsWith('fc_') ? 1 : 0.1),
  clipNorm: 0.5,
};

/** So small that a difference in rounding does not grow with the steps: Adam moves each parameter by about the rate. */
const RATES: Record<Part, number> = { head: 1e-4, 'last part': 1e-4, whole: 1e-5 };

const inputsOf = ({ input, label }: Batch): Tensor[] => [input, label];

/** An update by each batch. */
function plainTask(batches: readonly Batch[], rate: number): Task {
  const steps = batches.map((batch) => ({ inputs: inputsOf(batch), last: true }));
  return { rate, steps, evaluation: inputsOf(batches[0]!) };
}

/** Three updates, each by two batches of 5 and 3 pictures. */
function accumulatingTask(batches: readonly Batch[], rate: number): Task {
  const [five, other, three] = batches as [Batch, Batch, Batch];
  const parts = [five, three, other, three, five, three];
  const steps = parts.map((batch, index) => {
    const last = index % 2 === 1;
    const flags: Tensor[] = [
      { type: 'bool', dims: [1], data: Uint8Array.of(Number(last)) },
      { type: 'float32', dims: [1], data: Float32Array.of(rate) },
      { type: 'float32', dims: [], data: Float32Array.of((batch.label.dims[0] as number) / 8) },
    ];
    return { inputs: [...inputsOf(batch), ...flags], last };
  });
  return { rate, steps, evaluation: inputsOf(five) };
}

/** The losses of a task's steps and of its evaluation, by the native runtime. */
async function native(artifacts: Artifacts<Optimizer>, task: Task): Promise<number[]> {
  await using checkpointState = await CheckpointState.load(artifacts.checkpoint);
  const { optimizerModel } = artifacts;
  await using session = await TrainingSession.create({
    checkpointState,
    trainModel: artifacts.trainingModel,
    evalModel: artifacts.evalModel,
    ...(optimizerModel && { optimizerModel }),
  });
  const feed = (names: readonly string[], inputs: Inputs) =>
    Object.fromEntries(inputs.map((tensor, index) => [names[index]!, tensor]));
  if (optimizerModel) await session.setLearningRate(task.rate);
  const losses: number[] = [];
  for (const { inputs, last } of task.steps) {
    losses.push((await session.trainStep(feed(session.trainInputNames, inputs)))['loss']!.data[0] as number);
    if (!last) continue;
    if (optimizerModel) await session.optimizerStep();
    await session.lazyResetGrad();
  }
  losses.push((await session.evalStep(feed(session.evalInputNames, task.evaluation)))['loss']!.data[0] as number);
  return losses;
}

/** The same by the official wheel, from files. */
async function wheel(artifacts: Artifacts<Optimizer>, task: Task, folder: string): Promise<number[]> {
  await mkdir(folder);
  for (const name of ['trainingModel', 'evalModel', 'optimizerModel', 'checkpoint'] as const) {
    const bytes = artifacts[name];
    if (bytes) await writeFile(join(folder, name), bytes);
  }
  const text = JSON.stringify(task, (_, value) => {
    if (!ArrayBuffer.isView(value)) return value;
    return Array.from(value as unknown as ArrayLike<number | bigint>, Number);
  });
  await writeFile(join(folder, 'task.json'), text);
  return JSON.parse(await official('train', folder, join(folder, 'task.json'))) as number[];
}

/** Equal to a tolerance, of the value where it is above 1, and not all the same loss. */
function expectSame(actual: readonly number[], expected: readonly number[], tolerance: number): void {
  expect(actual).toHaveLength(expected.length);
  expect(new Set(actual.map((loss) => loss.toFixed(4))).size).toBe(actual.length);
  for (const [index, loss] of actual.entries()) {
    const distance = Math.abs(loss - expected[index]!) / Math.max(1, Math.abs(expected[index]!));
    expect(distance, `loss ${index}: ${loss} beside ${expected[index]}`).toBeLessThan(tolerance);
  }
}

describeParity('artifacts in the official Python wheel', () => {
  let root = '';
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'ortune-wheel-'));
  });
  afterAll(() => rm(root, { recursive: true, force: true }));

  describe.each(Object.entries(NETWORKS))('%s', (_name, network) => {
    const { model } = network;
    const batches = batchesFor(model);
    const plans = Object.entries(plansFor(network)) as [Part, TrainingPlan][];

    it.each(plans)('the %s: train as the official artifacts do there', async (part, plan) => {
      const folder = await mkdtemp(join(root, 'network-'));
      const task = plainTask(batches, RATES[part]);
      const expected = await wheel(await officialArtifacts(model, plan, folder), task, join(folder, 'theirs'));
      const actual = await wheel(buildArtifacts(model, plan), task, join(folder, 'ours'));
      expectSame(actual, expected, 1e-6);
    });

    // Live BatchNorm of a deep network magnifies what kernels of two versions round differently.
    const affine = (plan: TrainingPlan) => ({ ...plan, batchNorm: 'affine' }) as const;
    const inGraph = (plan: TrainingPlan) => ({ ...affine(plan), optimizer: CLIPPED_ADAMW });
    const cases: [string, TrainingPlan<Optimizer>, Task][] = plans.flatMap(([part, plan]) => [
      [`the ${part}, Adam by the optimizer model`, affine(plan), plainTask(batches, RATES[part])],
      [`the ${part}, AdamW in the graph, clipped, accumulating`, inGraph(plan), accumulatingTask(batches, RATES[part])],
    ]);
    it.each(cases)('%s: train as by the native runtime', async (_case, plan, task) => {
      const folder = await mkdtemp(join(root, 'network-'));
      const artifacts: Artifacts<Optimizer> = buildArtifacts(model, plan);
      // Two versions of the library, whose kernels round differently: 8e-7 on one processor may be more on another.
      expectSame(await native(artifacts, task), await wheel(artifacts, task, join(folder, 'ours')), 5e-6);
    });
  });

  it('take the inputs of an update in the order in which they are fed here', async () => {
    const { model, ...network } = NETWORKS['blocks of another kind on a map that is not square'];
    const plan = { ...plansFor({ model, ...network }).head, optimizer: CLIPPED_ADAMW };
    const artifacts = buildArtifacts(model, plan);
    await using checkpointState = await CheckpointState.load(artifacts.checkpoint);
    await using session = await TrainingSession.create({ checkpointState, trainModel: artifacts.trainingModel });
    const { update, learningRate, lossWeight } = UPDATE_INPUTS;
    expect(session.trainInputNames.slice(2)).toEqual([update, learningRate, lossWeight]);
  });
});
