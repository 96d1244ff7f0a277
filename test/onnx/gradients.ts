import {
  buildArtifacts,
  decodeModel,
  encodeModel,
  floatsOf,
  type Graph,
  type GraphOptimizer,
  LOSS_SCALE,
  type Model,
  type TrainingPlan,
} from '../../onnx/index.ts';
import { Random } from '../../src/random.ts';
import { CheckpointState, type Tensors, TrainingSession } from '../../src/runtime/index.ts';
import { type Numbers, referenceLoss } from './reference.ts';

/** Plain: after one step its momentum is the gradient. */
export const SGD: GraphOptimizer = {
  algorithm: { kind: 'sgd', momentum: 0.9, nesterov: false },
  weightDecay: 0,
  decays: () => true,
  rate: () => 1,
};

/**
 * A training model with each trained parameter's gradient as a further output, `gradient_of_<name>`: the training API
 * has no way to read a gradient, and outputs whose names end in `_grad` are kept back.
 */
export function withGradientOutputs(graph: Graph): Graph {
  const outputs = [...graph.outputs];
  const nodes = [...graph.nodes];
  for (const { op, inputs } of graph.nodes) {
    if (op !== 'InPlaceAccumulatorV2') continue;
    const [buffer, gradient] = inputs as [string, string];
    const parameter = buffer.replace(/_grad\.accumulation\.buffer$/, '');
    const name = `gradient_of_${parameter}`;
    nodes.push({ op: 'Identity', domain: '', name, inputs: [gradient], outputs: [name], attributes: {} });
    outputs.push({ ...graph.inputs.find((input) => input.name === parameter)!, name });
  }
  for (const { op, outputs: made } of graph.nodes) {
    if (op === 'Dropout') outputs.push(graph.values.get(made[1] as string)!);
  }
  return { ...graph, nodes, outputs };
}

export interface Batch {
  readonly pixels: { readonly dims: readonly number[]; readonly data: Float32Array };
  readonly labels: readonly number[];
}

/** Random pixels for a model's input, and labels. */
export function batchFor({ graph }: Model, size: number): Batch {
  const dims = [size, ...(graph.inputs[0]!.dims.slice(1) as number[])];
  const random = new Random(11, 'batch');
  const data = Float32Array.from({ length: dims.reduce((a, b) => a * b) }, () => random.normal());
  const classes = graph.outputs[0]!.dims[1] as number;
  return { pixels: { dims, data }, labels: Array.from({ length: size }, () => random.integer(classes)) };
}

/** A loss scale that leaves nothing to chance: forgotten once, it is off by four digits. */
const LARGE = { type: 'float32', dims: [], data: Float32Array.of(2 ** 14) } as const;

/** What a session is fed of a batch. */
export const feeds = ({ pixels, labels }: Batch): Tensors => ({
  pixels: { type: 'float32', ...pixels },
  label: { type: 'int64', dims: [labels.length], data: BigInt64Array.from(labels, BigInt) },
});

/** What a training step of the runtime gave. */
interface Step {
  readonly loss: number;
  readonly evalLoss: number;
  readonly gradients: Map<string, Float32Array>;
  /** By which Dropout left elements out, 0 or 1 each, by their names. */
  readonly masks: Map<string, Numbers>;
}

/**
 * One training step by the runtime: losses and every trained parameter's gradient.
 * @param tamper changes the training graph beforehand, to see that the comparison notices
 */
export async function runtimeStep(
  model: Model,
  plan: TrainingPlan,
  batch: Batch,
  tamper: (graph: Graph) => Graph = (graph) => graph,
): Promise<Step> {
  const artifacts = buildArtifacts(model, plan);
  const training = decodeModel(artifacts.trainingModel);
  await using checkpointState = await CheckpointState.load(artifacts.checkpoint);
  await using session = await TrainingSession.create({
    checkpointState,
    trainModel: encodeModel({ ...training, graph: withGradientOutputs(tamper(training.graph)) }),
    evalModel: artifacts.evalModel,
    options: { intraOpThreads: 1 },
  });
  const evaluated = await session.evalStep(feeds(batch));
  const scaled = session.trainInputNames.includes(LOSS_SCALE) ? { [LOSS_SCALE]: LARGE } : {};
  const outputs = await session.trainStep({ ...feeds(batch), ...scaled });
  const masks = Object.entries(outputs).filter(([name]) => name.endsWith('_mask'));
  const gradient = (name: string) => outputs[`gradient_of_${name}`]!.data as Float32Array;
  return {
    loss: outputs['loss']!.data[0] as number,
    evalLoss: evaluated['loss']!.data[0] as number,
    gradients: new Map([...plan.trainable].map((name) => [name, gradient(name)])),
    masks: new Map(
      masks.map(([name, { dims, data }]) => [name, { dims, data: Float64Array.from(data as Uint8Array) }]),
    ),
  };
}

/** The reference's loss as a function of some parameters' values, the others being the model's. */
export function lossOf(
  model: Model,
  plan: TrainingPlan,
  batch: Batch,
  masks: ReadonlyMap<string, Numbers> = new Map(),
) {
  const pixels: Numbers = { dims: batch.pixels.dims, data: Float64Array.from(batch.pixels.data) };
  return (parameters: ReadonlyMap<string, Float64Array> = new Map()): number => {
    const given = new Map([['pixels', pixels], ...masks]);
    for (const [name, data] of parameters) given.set(name, { dims: model.graph.initializers.get(name)!.dims, data });
    return referenceLoss(model, given, batch.labels, plan);
  };
}

/** A direction in the space of some parameters. */
export type Direction = ReadonlyMap<string, Float64Array>;

/** Step far below the distance to the next kink of Relu and MaxPool, far above what double precision rounds off. */
const STEP = 1e-7;

/** Central difference of the loss along a direction. */
export function difference(loss: (values: Direction) => number, { graph }: Model, direction: Direction): number {
  const start = new Map(
    [...direction.keys()].map((name) => [name, Float64Array.from(floatsOf(graph.initializers.get(name)!))]),
  );
  const at = (step: number) => {
    const moved = [...start].map(([name, values]) => {
      const along = direction.get(name)!;
      return [name, values.map((value, index) => value + step * along[index]!)] as const;
    });
    return loss(new Map(moved));
  };
  return (at(STEP) - at(-STEP)) / (2 * STEP);
}

/** A parameter's whole gradient, by differences along each of its axes. */
export function differences(loss: (values: Direction) => number, model: Model, parameter: string): Float64Array {
  const { length } = floatsOf(model.graph.initializers.get(parameter)!);
  return Float64Array.from({ length }, (_, index) => {
    const axis = new Float64Array(length);
    axis[index] = 1;
    return difference(loss, model, new Map([[parameter, axis]]));
  });
}

/** Largest distance of two gradients, as a share of the larger one's largest entry. */
export function disagreement(actual: ArrayLike<number>, expected: Float64Array): number {
  const largest = Math.max(...expected.map(Math.abs));
  const distances = expected.map((value, index) => Math.abs(value - actual[index]!));
  return Math.max(...distances) / largest;
}
