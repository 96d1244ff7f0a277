import { OrtuneError } from '../src/errors.ts';
import { type GraphBuilder, int, nodeOf, string, tensor } from './graph.ts';
import type { Node, ValueInfo } from './model.ts';

export const LABEL = 'label';
export const LOSS = 'loss';

/** Label of a row that fills a batch up and counts for nothing: in the eval model alone, the training model has none. */
export const NO_LABEL = -1;

const LOG_PROBABILITIES = 'log_probabilities';

/** Cross-entropy as PyTorch's `cross_entropy` has it, with the mean as reduction. Left out: plain. */
export interface LossOptions {
  /** Share of each target that is spread evenly over the classes, 0 to below 1. */
  readonly labelSmoothing?: number;
  /** Weight of each class; with class numbers as labels, the mean is by these weights. */
  readonly classWeights?: readonly number[];
  /** Labels are probabilities, float32 [batch, classes], as mixup makes them, instead of class numbers, int64 [batch]. */
  readonly softLabels?: boolean;
}

/** What a model of the artifacts asks for beyond a plan's loss. */
export interface ModelLossOptions extends LossOptions {
  /** Rows of this label are left out of the mean; of the plain loss and that with class weights. */
  readonly ignoredLabel?: number;
}

/** What the labels of a loss look like. */
export function labelInput(logits: ValueInfo, { softLabels }: LossOptions = {}): ValueInfo {
  if (softLabels) return { ...logits, name: LABEL };
  return tensor(LABEL, 'int64', logits.dims[0] ?? 'batch');
}

/**
 * The nodes of a loss of `logits` float32 [batch, classes], the last of which gives it. What depends on the labels alone
 * is added to the graph at once. Labels are not range-checked by the kernels: whoever feeds them must.
 *
 * @throws OrtuneError `LOSS_OPTION`
 */
export function crossEntropy(graph: GraphBuilder, logits: ValueInfo, options: ModelLossOptions = {}): Node[] {
  check(options, logits.dims[1] as number);
  graph.declare(tensor(LOSS, 'float32'));
  graph.declare({ ...logits, name: LOG_PROBABILITIES });
  if (!options.labelSmoothing && !options.softLabels) return [fused(graph, logits, options)];

  const targets = addTargets(graph, logits, options);
  graph.declare({ ...logits, name: 'loss_terms' });
  return [
    nodeOf('LogSoftmax', [logits.name], LOG_PROBABILITIES, { axis: int(1) }),
    nodeOf('Mul', [LOG_PROBABILITIES, targets], 'loss_terms'),
    nodeOf('ReduceSum', ['loss_terms'], LOSS, { keepdims: int(0) }),
  ];
}

/** One operator for class numbers. The log-probabilities are an output because the gradient reads them. */
function fused(graph: GraphBuilder, logits: ValueInfo, { classWeights, ignoredLabel }: ModelLossOptions): Node {
  const weights = classWeights ? [graph.constant('class_weights', Float32Array.from(classWeights))] : [];
  return {
    op: 'SoftmaxCrossEntropyLoss',
    domain: '',
    name: LOSS,
    inputs: [logits.name, LABEL, ...weights],
    outputs: [LOSS, LOG_PROBABILITIES],
    attributes: {
      reduction: string('mean'),
      ...(ignoredLabel !== undefined && { ignore_index: int(ignoredLabel) }),
    },
  };
}

/** What the log-probabilities are multiplied with, [batch, classes]: the wanted probabilities, weighted, over minus the mean's count. */
function addTargets(graph: GraphBuilder, logits: ValueInfo, options: LossOptions): string {
  const { labelSmoothing = 0, classWeights, softLabels } = options;
  const [batch, classes] = logits.dims as [string, number];
  const like = (name: string) => ({ ...logits, name });
  const even = labelSmoothing / classes;
  let targets = LABEL;
  if (!softLabels) {
    const count = graph.constant('classes', BigInt64Array.of(BigInt(classes)));
    const values = graph.constant('smoothed_values', Float32Array.of(even, 1 - labelSmoothing + even));
    targets = graph.add('OneHot', [LABEL, count, values], like('smoothed_targets'), { attributes: { axis: int(1) } });
  } else if (labelSmoothing > 0) {
    const kept = graph.constant('smoothing_kept', Float32Array.of(1 - labelSmoothing), []);
    const spread = graph.constant('smoothing_spread', Float32Array.of(even), []);
    targets = graph.add('Mul', [targets, kept], like('kept_targets'));
    targets = graph.add('Add', [targets, spread], like('smoothed_targets'));
  }
  let divisor: string;
  if (classWeights) {
    const weights = graph.constant('class_weights', Float32Array.from(classWeights));
    targets = graph.add('Mul', [targets, weights], like('weighted_targets'));
    divisor = softLabels ? addBatchSize(graph) : addWeightOfLabels(graph, weights, batch);
  } else {
    divisor = addBatchSize(graph);
  }
  const negative = graph.add('Neg', [divisor], graph.like('negative_divisor', divisor));
  return graph.add('Div', [targets, negative], like('scaled_targets'));
}

function addBatchSize(graph: GraphBuilder): string {
  const attributes = { start: int(0), end: int(1) };
  const size = graph.add('Shape', [LABEL], tensor('batch_size', 'int64', 1), { attributes });
  return graph.add('Cast', [size], tensor('batch_size_float', 'float32', 1), { attributes: { to: int(1) } });
}

function addWeightOfLabels(graph: GraphBuilder, weights: string, batch: string): string {
  const each = graph.add('Gather', [weights, LABEL], tensor('label_weights', 'float32', batch));
  return graph.add('ReduceSum', [each], tensor('label_weight', 'float32', 1), { attributes: { keepdims: int(1) } });
}

function check({ labelSmoothing = 0, classWeights }: LossOptions, classes: number): void {
  if (!(labelSmoothing >= 0 && labelSmoothing < 1)) {
    throw new OrtuneError(
      'LOSS_OPTION',
      `label smoothing: expected a number from 0 to below 1, received ${labelSmoothing}`,
    );
  }
  if (!classWeights) return;
  const fits =
    classWeights.length === classes && classWeights.every((weight) => weight >= 0 && Number.isFinite(weight));
  if (!fits || !classWeights.some((weight) => weight > 0)) {
    throw new OrtuneError(
      'LOSS_OPTION',
      `class weights: expected ${classes} numbers from 0 up, not all 0, received [${classWeights.join(', ')}]`,
    );
  }
}
