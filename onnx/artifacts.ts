import { toChannelsLast } from './channels-last.ts';
import { checkArtifacts } from './check.ts';
import { encodeCheckpoint } from './checkpoint.ts';
import { encodeModel } from './encode.ts';
import { addTrainingStep } from './gradients/index.ts';
import { GraphBuilder, MICROSOFT, tensor, valueInfo } from './graph.ts';
import { crossEntropy, LOSS, type LossOptions, labelInput, type ModelLossOptions, NO_LABEL } from './loss.ts';
import { addLossScale, addUnscaled, OVERFLOW } from './loss-scale.ts';
import { toMixedPrecision } from './mixed-precision.ts';
import type { Graph, Initializer, Model } from './model.ts';
import { averageOf, bufferOf, flagOf, RESET_FLAG } from './names.ts';
import { LAYER_MAPS } from './native-layers.ts';
import { type Kernels, NATIVE_STATE, ORTUNE } from './native-update.ts';
import { type AdamOptions, buildOptimizer } from './optimizer.ts';
import { affineParameters, type BatchNormMode, parametersOf, runningStatistics } from './parameters.ts';
import { HEAD_PARAMETERS, LOGITS } from './resnet.ts';
import { extract } from './subgraph.ts';
import { addUpdate, type GraphOptimizer, optimizerState, UPDATE_INPUTS } from './update.ts';

/** Adam by ONNX Runtime's own optimizer model, or any update within the training graph. */
export type Optimizer = AdamOptions | GraphOptimizer;

/** What the maps between a network's layers are while it is trained; its parameters are float32 in any case. */
export type Precision = 'fp32' | 'fp16' | 'bf16';

/** What a stage trains, and how. */
export interface TrainingPlan<Chosen extends Optimizer = AdamOptions> {
  /** Names of the initializers that are trained. */
  readonly trainable: ReadonlySet<string>;
  /** Of all BatchNorms, or of each by its node's name (`bn5a_branch2a`). */
  readonly batchNorm: BatchNormMode | ((node: string) => BatchNormMode);
  readonly optimizer: Chosen;
  /** Of the training model; the eval model always gives the plain cross-entropy, so that results stay comparable. */
  readonly loss?: LossOptions;
  /**
   * `fp16`: convolutions in half precision, with float32 weights, BatchNorm parameters, statistics and loss. The training
   * model then takes `LOSS_SCALE` and tells of an `OVERFLOW`. `bf16`: with native layers, whose maps are then
   * bfloat16, and all else as in fp32. Left out: `fp32`.
   */
  readonly precision?: Precision;
  /**
   * `native`: an update in the training graph is made by operators of ortune's addon, which trains the same, bit for bit, and
   * faster, but on the CPU and in this addon's sessions only. Left out: `stock`, which any ONNX Runtime can load. The
   * checkpoint, its names and the eval model are the same.
   */
  readonly kernels?: Kernels;
  /**
   * The same of convolutions, BatchNorms and pooling, in the training model alone. These round otherwise than ONNX Runtime's.
   */
  readonly layers?: Kernels;
  /** With native layers: whether convolutions do without Winograd's algorithm, which is faster and rounds a little more. */
  readonly exact?: boolean;
}

/** The four files of ONNX Runtime's training API, as bytes. */
export interface Artifacts<Chosen extends Optimizer = AdamOptions> {
  /**
   * In: the model's inputs and `label` int64 [batch]; out: `loss` float32 [] and `logits` float32 [batch, classes].
   * With the update in the graph also `UPDATE_INPUTS` in, and out `updated` bool [1].
   */
  readonly trainingModel: Uint8Array;
  /** The same inputs and outputs, BatchNorm on its running statistics; rows of label `NO_LABEL` do not count. */
  readonly evalModel: Uint8Array;
  /** None where the update is in the training graph. */
  readonly optimizerModel: Chosen extends GraphOptimizer ? undefined : Uint8Array;
  readonly checkpoint: Uint8Array;
}

/** Stage one: the head alone. */
export function headOnly<Chosen extends Optimizer>(
  batchNorm: TrainingPlan['batchNorm'],
  optimizer: Chosen,
): TrainingPlan<Chosen> {
  return { trainable: new Set(HEAD_PARAMETERS), batchNorm, optimizer };
}

/** Stage two: every weight, and the scale and offset of each BatchNorm that is not frozen; its running statistics are moved, never trained. */
export function wholeNetwork<Chosen extends Optimizer>(
  model: Model,
  batchNorm: TrainingPlan['batchNorm'],
  optimizer: Chosen,
): TrainingPlan<Chosen> {
  const left = new Set([...runningStatistics(model.graph), ...frozenAffine(model.graph, { batchNorm })]);
  const names = parametersOf(model.graph).map(({ name }) => name);
  return { trainable: new Set(names.filter((name) => !left.has(name))), batchNorm, optimizer };
}

/**
 * Writes the training artifacts for a model in inference form, which must give `logits`.
 *
 * Trained parameters and the running statistics of live BatchNorm become inputs of the training and eval models and
 * lie in the checkpoint. All else stays a constant inside both models, where the runtime's optimiser can fold it.
 *
 * @param evaluated what the eval model is made of: the same network, for pictures of another size perhaps
 * @throws Error when a trained name is no float32 initializer that the logits depend on, or belongs to a frozen BatchNorm,
 *   for native kernels in half precision, and for bfloat16 without native layers
 */
export function buildArtifacts<Chosen extends Optimizer>(
  model: Model,
  plan: TrainingPlan<Chosen>,
  evaluated: Model = model,
): Artifacts<Chosen> {
  if ((plan.kernels === 'native' || plan.layers === 'native') && plan.precision === 'fp16') {
    throw new Error('native kernels run on the CPU, half precision on CUDA: a plan cannot have both');
  }
  if (plan.precision === 'bf16' && plan.layers !== 'native') {
    throw new Error('bfloat16 maps are for native layers: ONNX Runtime has no kernels on the CPU that take them');
  }
  const parts = partsOf(model, plan);
  const { trainable, frozen, state, inputs, constants } = parts;
  const optimizerModel = 'algorithm' in plan.optimizer ? undefined : encodeModel(buildOptimizer(plan.optimizer));
  const native = nativeOperators(plan);
  const domains = native.size > 0 ? [MICROSOFT, ORTUNE] : [MICROSOFT];
  const opsets = new Map([...model.opsets, ...domains.map((domain) => [domain, 1] as const)]);

  const training = { graph: trainingGraph(parts, plan), opsets, metadata: new Map() };
  const evaluation = {
    graph: evalGraph(evaluatedPart(evaluated, plan), inputs, constants),
    opsets: model.opsets,
    metadata: new Map(),
  };
  const checkpoint = { trainable, frozen: [...frozen, ...state] };
  const names = new Set(inputs.map(({ name }) => name));
  const purpose = { trainable: plan.trainable, parameters: names, isLive: liveOf(plan), native };
  checkArtifacts(training, evaluation, purpose);

  return {
    trainingModel: encodeModel(training),
    evalModel: encodeModel(evaluation),
    optimizerModel: optimizerModel as Artifacts<Chosen>['optimizerModel'],
    checkpoint: encodeCheckpoint(checkpoint),
  };
}

/** What a plan makes of a model's initializers. */
interface Parts {
  readonly forward: Graph;
  readonly trainable: readonly Initializer[];
  /** The running statistics that training moves. */
  readonly frozen: readonly Initializer[];
  /** What an update in the training graph remembers. */
  readonly state: readonly Initializer[];
  /** All of these, which are inputs of the training and eval models. */
  readonly inputs: readonly Initializer[];
  readonly constants: readonly Initializer[];
}

function partsOf(model: Model, plan: TrainingPlan<Optimizer>): Parts {
  const forward = extract(model, [], [LOGITS]).graph;
  const trainable = [...forward.initializers.values()].filter(({ name }) => plan.trainable.has(name));
  for (const name of plan.trainable) {
    if (forward.initializers.get(name)?.type !== 'float32') {
      throw new Error(
        `cannot train '${name}': the graph has no float32 initializer of this name that the logits depend on`,
      );
    }
  }
  for (const name of frozenAffine(forward, plan)) {
    if (plan.trainable.has(name))
      throw new Error(`cannot train '${name}': its BatchNorm is frozen, not affine or live`);
  }
  const moved = movedStatistics(forward, plan);
  const frozen = [...forward.initializers.values()].filter(({ name }) => moved.has(name));
  const isParameter = (name: string) => plan.trainable.has(name) || moved.has(name);
  const parameters = [...forward.initializers.values()].filter(({ name }) => isParameter(name));
  const constants = [...forward.initializers.values()].filter(({ name }) => !isParameter(name));
  const update = updateOf(plan);
  const state = update ? optimizerState(trainable, update) : [];
  return { forward, trainable, frozen, state, inputs: [...parameters, ...state], constants };
}

/** The graphs of the training and the eval model, without what is written around them. */
export function stepGraphs(
  model: Model,
  plan: TrainingPlan<Optimizer>,
  evaluated: Model = model,
): { readonly training: Graph; readonly evaluation: Graph } {
  const parts = partsOf(model, plan);
  const evaluation = evalGraph(evaluatedPart(evaluated, plan), parts.inputs, parts.constants);
  return { training: trainingGraph(parts, plan), evaluation };
}

/** Inputs, parameters, constants and known shapes that training and eval graph share, and the nodes up to the loss. */
function begin(
  name: string,
  forward: Graph,
  parameters: readonly Initializer[],
  constants: readonly Initializer[],
  loss?: ModelLossOptions,
) {
  const graph = new GraphBuilder(name);
  const logits = valueInfo(forward, LOGITS);
  for (const input of forward.inputs) graph.input(input);
  graph.input(labelInput(logits, loss));
  for (const { name, type, dims } of parameters) graph.input({ name, type, dims });
  for (const constant of constants) graph.initializer(constant);
  for (const value of [...forward.values.values(), ...forward.outputs]) graph.declare(value);
  return { graph, nodes: [...forward.nodes, ...crossEntropy(graph, logits, loss)] };
}

function trainingGraph({ forward, trainable, inputs, constants }: Parts, plan: TrainingPlan<Optimizer>): Graph {
  const half = plan.precision === 'fp16';
  const { graph, nodes } = begin('training', trainedForm(forward, plan), inputs, constants, plan.loss);
  for (const { name, type, dims } of trainable) graph.input({ name: bufferOf(name), type, dims });
  graph.input(tensor(RESET_FLAG, 'bool', 1));

  const update = updateOf(plan);
  const lossGradient = update
    ? addUpdateInputs(graph, update)
    : graph.constant('loss_gradient', Float32Array.of(1), []);
  const start = half ? addLossScale(graph, lossGradient) : lossGradient;
  const { computed, accumulated: alone } = addTrainingStep(graph, nodes, plan.trainable, liveOf(plan), start);
  const { gradients, finite } = half ? addUnscaled(graph, computed) : { gradients: computed };
  graph.output(LOSS);
  graph.output(LOGITS);
  if (half) graph.output(OVERFLOW);
  const accumulated = trainable.map(({ name }) => {
    const inputs = [bufferOf(name), gradients.get(name) as string, RESET_FLAG];
    const done = tensor(flagOf(name), 'bool', 1);
    return alone.get(name) ?? graph.add('InPlaceAccumulatorV2', inputs, done, { domain: MICROSOFT });
  });
  for (const done of accumulated) graph.output(done);
  if (update) {
    const buffers = new Map(trainable.map(({ name }) => [name, bufferOf(name)]));
    const required = [...accumulated, ...(finite ? [finite] : [])];
    graph.output(addUpdate(graph, trainable, buffers, required, update, plan.kernels));
  }
  return graph.build();
}

/** The forward pass as it is trained: with the operators and in the precision of the plan. */
function trainedForm(forward: Graph, plan: TrainingPlan<Optimizer>): Graph {
  const isLive = liveOf(plan);
  if (plan.precision === 'fp16') return toMixedPrecision(forward, isLive);
  if (plan.layers !== 'native') return forward;
  return toChannelsLast(forward, { isLive, exact: plan.exact ?? false, precision: plan.precision ?? 'fp32' });
}

/** Those of ortune's operators that a plan has a use for. */
export function nativeOperators(plan: TrainingPlan<Optimizer>): Set<string> {
  return new Set([
    ...(updateOf(plan) && plan.kernels === 'native' ? Object.keys(NATIVE_STATE) : []),
    ...(plan.layers === 'native' ? Object.keys(LAYER_MAPS) : []),
  ]);
}

/** The running statistics that a plan's training moves. */
export function movedStatistics(graph: Graph, plan: Pick<TrainingPlan, 'batchNorm'>): Set<string> {
  return runningStatistics(graph, liveOf(plan));
}

/** Scales and offsets that a plan's BatchNorms keep as they are. */
function frozenAffine(graph: Graph, { batchNorm }: Pick<TrainingPlan, 'batchNorm'>): Set<string> {
  return affineParameters(
    graph,
    (node) => (typeof batchNorm === 'function' ? batchNorm(node) : batchNorm) === 'frozen',
  );
}

function liveOf({ batchNorm }: Pick<TrainingPlan, 'batchNorm'>): (node: string) => boolean {
  return typeof batchNorm === 'function' ? (node) => batchNorm(node) === 'live' : () => batchNorm === 'live';
}

function updateOf({ optimizer }: TrainingPlan<Optimizer>): GraphOptimizer | undefined {
  return 'algorithm' in optimizer ? optimizer : undefined;
}

/** @returns the tensor that backpropagation starts from: the weight of this batch's loss */
function addUpdateInputs(graph: GraphBuilder, { averages }: GraphOptimizer): string {
  graph.input(tensor(UPDATE_INPUTS.update, 'bool', 1));
  graph.input(tensor(UPDATE_INPUTS.learningRate, 'float32', 1));
  if (averages) graph.input(tensor(UPDATE_INPUTS.averageShare, 'float32', 1));
  return graph.input(tensor(UPDATE_INPUTS.lossWeight, 'float32'));
}

/** The forward pass of the eval model: on running averages of the parameters, where the plan has some. */
function evaluatedPart(model: Model, plan: TrainingPlan<Optimizer>): Graph {
  const { graph } = extract(model, [], [LOGITS]);
  if (!updateOf(plan)?.averages) return graph;
  const named = (name: string) => (plan.trainable.has(name) ? averageOf(name) : name);
  return { ...graph, nodes: graph.nodes.map((node) => ({ ...node, inputs: node.inputs.map(named) })) };
}

function evalGraph(forward: Graph, parameters: readonly Initializer[], constants: readonly Initializer[]): Graph {
  const { graph, nodes } = begin('evaluation', forward, parameters, constants, { ignoredLabel: NO_LABEL });
  for (const node of nodes) graph.copy(node);
  graph.output(LOSS);
  graph.output(LOGITS);
  return graph.build();
}
