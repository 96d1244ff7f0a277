import { stepGraphs } from '../../onnx/artifacts.ts';
import {
  extract,
  FEATURES,
  type Initializer,
  type Model,
  movedStatistics,
  type Optimizer,
  type TrainingPlan,
} from '../../onnx/index.ts';
import { liveBytes } from '../../onnx/live-memory.ts';
import type { ChosenKernels } from './kernels.ts';

/** What a run's memory depends on. */
export interface MemoryUse {
  /** Its initializers' values are not read, only their shapes. */
  readonly model: Model;
  /** The model for pictures of the size that is tested. */
  readonly evaluated: Model;
  readonly plan: TrainingPlan<Optimizer>;
  readonly chosen: ChosenKernels;
  readonly exact: boolean;
  /** Pictures of a step, never more than there are. */
  readonly batchSize: number;
  /** Batches of an update. */
  readonly accumulate: number;
  /** Whether weights are read into the network first. */
  readonly readsWeights: boolean;
  /** Numbers that are kept of all pictures: the features that a head is trained on. None where it is trained on pictures. */
  readonly features?: number | undefined;
  /** Whether the values of the best pass are kept beside the present ones. */
  readonly keepsBest: boolean;
  /** Whether the result is tested in a session of its own. */
  readonly testsApart: boolean;
}

/** Pictures that a backbone takes at a time. */
export const BACKBONE_BATCH = 16;
/** Batches of pictures that are prepared ahead, and the one in use. */
const BATCHES_AHEAD = 3;

const MiB = 2 ** 20;

/**
 * What was measured to hold for the process's peak; docs/performance.md has the figures. All but the first are factors on
 * the bytes of what they are named by.
 */
const MEASURED = {
  /** Node, the libraries, the decoders, and what operators use while they run. */
  process: { native: 295 * MiB, stock: 265 * MiB },
  /** What Node has not given back by then: copies of the network's values, of what a checkpoint is put together from, of what is trained. */
  garbage: { values: 0.8, checkpoint: 0.5, trained: 0.5 },
  /** Values that are not trained, in the training and in the eval model: the files, and the session's. */
  constants: { held: 4.5, opening: { native: 2.4, stock: 4.2 } },
  /** A checkpoint that is read, or put together to be saved. */
  checkpoint: { opening: 1, saving: 1.85 },
  /** The largest of what is trained, where ONNX Runtime's kernels make the updates of a graph. */
  update: 11,
  /** Maps, as the allocator's pieces hold them. */
  maps: { native: 1.36, stock: 1.25 },
  /** Weights that are read into the network. */
  weights: 2,
  /** A backbone in onnxruntime-node: its thread, its values, its maps. */
  backbone: { thread: 40 * MiB, values: 6.9, maps: 1.55 },
  /** Another session for the result's test. */
  testing: 3,
  /** Copies of the features, with those of the head's solver. */
  features: 3,
} as const;

/** Most bytes that a process has while it trains, by figures that were measured; rather too many than too few. */
export function estimateMemory(use: MemoryUse): number {
  const read = use.readsWeights ? MEASURED.weights * sizeOf([...use.model.graph.initializers.values()]) : 0;
  return read + (use.features === undefined ? onPictures(use) : onFeatures(use, use.features));
}

function onPictures(use: MemoryUse): number {
  const { model, evaluated, plan, chosen, exact, batchSize, accumulate } = use;
  const { layers } = chosen;
  const graphs = stepGraphs(model, { ...plan, ...chosen, exact }, evaluated);
  const initializers = [...model.graph.initializers.values()];
  const moved = movedStatistics(model.graph, plan);
  const isTrained = ({ name }: Initializer) => plan.trainable.has(name);
  const trained = sizeOf(initializers.filter(isTrained));
  const values = sizeOf(initializers);
  const constants = values - trained - sizeOf(initializers.filter(({ name }) => moved.has(name)));
  const state = stateOf(plan.optimizer) * trained;
  const inGraph = 'algorithm' in plan.optimizer ? state : 0;
  const pictures = (BATCHES_AHEAD + accumulate) * batchSize * bytesOfPicture(evaluated);
  const maps =
    MEASURED.maps[layers] * (liveBytes(graphs.training, batchSize) + liveBytes(graphs.evaluation, batchSize));
  const { process, garbage, constants: constant, checkpoint } = MEASURED;

  const copies = garbage.values * values + garbage.checkpoint * (trained + inGraph) + garbage.trained * trained;
  const session = 2 * trained + state + constant.held * constants;
  const held = process[layers] + values + copies + session + (use.keepsBest ? trained : 0);
  const opening = held + constant.opening[layers] * constants + checkpoint.opening * (trained + inGraph);
  const largest = Math.max(0, ...initializers.filter(isTrained).map((one) => sizeOf([one])));
  const update = inGraph > 0 && chosen.kernels === 'stock' ? MEASURED.update * largest : 0;
  const saving = held + maps + update + pictures + checkpoint.saving * (trained + state);
  const testing = use.testsApart ? MEASURED.testing * values : 0;
  return Math.max(opening, saving) + testing;
}

/** What comes after the features takes less than the backbone that makes them. */
function onFeatures({ evaluated, chosen }: MemoryUse, features: number): number {
  const { graph } = extract(evaluated, [], [FEATURES]);
  const { process, backbone } = MEASURED;
  const maps = backbone.maps * liveBytes(graph, BACKBONE_BATCH);
  const pictures = BATCHES_AHEAD * BACKBONE_BATCH * bytesOfPicture(evaluated);
  const values = backbone.values * sizeOf([...graph.initializers.values()]);
  return process[chosen.layers] + backbone.thread + values + maps + pictures + MEASURED.features * 4 * features;
}

/** Numbers that an optimizer keeps for each that is trained. */
function stateOf(optimizer: Optimizer): number {
  if (!('algorithm' in optimizer)) return 2;
  const { algorithm, averages } = optimizer;
  const slots = algorithm.kind === 'adam' ? 2 : algorithm.momentum > 0 ? 1 : 0;
  return slots + (averages ? 1 : 0);
}

/** All are float32. */
const sizeOf = (initializers: readonly Initializer[]) =>
  initializers.reduce((sum, { dims }) => sum + 4 * dims.reduce((product, length) => product * length, 1), 0);

const bytesOfPicture = ({ graph }: Model) =>
  (graph.inputs[0]?.dims ?? []).reduce<number>((size, length) => size * (typeof length === 'number' ? length : 1), 1);
