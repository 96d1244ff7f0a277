import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  ADAM_DEFAULTS,
  type Artifacts,
  buildArtifacts,
  decodeModel,
  encodeModel,
  type Model,
  movedStatistics,
  type Node,
  type TrainingPlan,
} from '../../onnx/index.ts';
import { Random } from '../../src/random.ts';
import { CheckpointState, type Tensor, TrainingSession } from '../../src/runtime/index.ts';
import { official } from './official.ts';

/** Pictures of each step: an epoch whose last batch is short. */
export const BATCHES = [5, 5, 3];
export const LEARNING_RATE = 0.01;

export interface Batch {
  readonly input: Tensor;
  readonly label: Tensor;
}

/** Batches for a model: random pixels of its input's type, random labels. */
export function batchesFor({ graph }: Model): Batch[] {
  const { type, dims } = graph.inputs[0]!;
  const classes = graph.outputs[0]!.dims[1] as number;
  return BATCHES.map((size, step) => {
    const shape = [size, ...(dims.slice(1) as number[])];
    const length = shape.reduce((product, side) => product * side, 1);
    const random = new Random(9, 'parity', step);
    const input: Tensor =
      type === 'uint8'
        ? { type, dims: shape, data: Uint8Array.from({ length }, () => random.integer(256)) }
        : { type: 'float32', dims: shape, data: Float32Array.from({ length }, () => random.normal()) };
    const labels = BigInt64Array.from({ length: size }, () => BigInt(random.integer(classes)));
    return { input, label: { type: 'int64', dims: [size], data: labels } };
  });
}

/**
 * Trains a step by each batch, on one thread.
 * @param names parameters whose values are wanted
 * @param file where the checkpoint is saved afterwards
 */
export async function train(artifacts: Artifacts, batches: readonly Batch[], names: Iterable<string>, file: string) {
  await using checkpointState = await CheckpointState.load(artifacts.checkpoint);
  await using session = await TrainingSession.create({
    checkpointState,
    trainModel: artifacts.trainingModel,
    evalModel: artifacts.evalModel,
    optimizerModel: artifacts.optimizerModel,
    options: { intraOpThreads: 1 },
  });
  await session.setLearningRate(LEARNING_RATE);
  // The official model names its second input and its first output otherwise.
  const [inputName, labelName] = session.trainInputNames as [string, string];
  const [lossName] = session.trainOutputNames as [string];
  const losses: number[] = [];
  const feeds = batches.map(({ input, label }) => ({ [inputName]: input, [labelName]: label }));
  for (const feed of feeds) {
    const outputs = await session.trainStep(feed);
    losses.push(outputs[lossName]!.data[0] as number);
    await session.optimizerStep();
    await session.lazyResetGrad();
  }
  const evaluated = await session.evalStep(feeds[0]!);
  const parameters = new Map<string, Buffer>();
  for (const name of names) {
    const { data } = await checkpointState.getParameter(name);
    parameters.set(name, Buffer.from(data.buffer, data.byteOffset, data.byteLength));
  }
  await checkpointState.save(file);
  return { losses, evalLoss: evaluated[lossName]!.data[0] as number, parameters, checkpoint: await readFile(file) };
}

/** Names of what a plan's training moves. */
export function movedBy(plan: TrainingPlan, { graph }: Model): string[] {
  return [...plan.trainable, ...movedStatistics(graph, plan)];
}

/**
 * The official generator's artifacts for a plan, their optimizer set to Adam's numbers.
 * @param folder left with the model, the request and the artifacts as files
 */
export async function officialArtifacts(
  model: Model,
  plan: TrainingPlan,
  folder: string,
): Promise<Artifacts & { optimizer: Node }> {
  const [base, request] = [join(folder, 'base.onnx'), join(folder, 'plan.json')];
  await writeFile(base, encodeModel(model));
  const trainable = [...plan.trainable];
  // What is not named stays a constant, as in ours: were it an input, the runtime would choose other kernels for it,
  // which round otherwise.
  await writeFile(request, JSON.stringify({ trainable, frozen: [...movedStatistics(model.graph, plan)] }));
  await official('generate', base, request, folder);
  const optimizer = decodeModel(await readFile(join(folder, 'optimizer_model.onnx')));
  const [node] = optimizer.graph.nodes as [Node];
  const ours = buildArtifacts(model, { ...plan, optimizer: ADAM_DEFAULTS }).optimizerModel;
  const { attributes } = decodeModel(ours).graph.nodes[0]!;
  return {
    trainingModel: await readFile(join(folder, 'training_model.onnx')),
    evalModel: await readFile(join(folder, 'eval_model.onnx')),
    optimizerModel: encodeModel({ ...optimizer, graph: { ...optimizer.graph, nodes: [{ ...node, attributes }] } }),
    checkpoint: await readFile(join(folder, 'checkpoint')),
    optimizer: node,
  };
}
