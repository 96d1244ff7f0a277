import type { GraphBuilder } from '../graph.ts';
import type { Node } from '../model.ts';
import { ORTUNE } from '../native-update.ts';
import { add } from './add.ts';
import { frozenBatchNormalization, liveBatchNormalization } from './batch-normalization.ts';
import { cast } from './cast.ts';
import { convolution } from './convolution.ts';
import { dropout } from './dropout.ts';
import { flatten } from './flatten.ts';
import { gemm } from './gemm.ts';
import { globalAveragePool } from './global-average-pool.ts';
import { logSoftmax } from './log-softmax.ts';
import { maxPool } from './max-pool.ts';
import { mul } from './mul.ts';
import { nativeBatchNorm } from './native-batch-norm.ts';
import { nativeConvolution } from './native-convolution.ts';
import { nativeGlobalAveragePool, nativeMaxPool } from './native-pooling.ts';
import { reduceSum } from './reduce-sum.ts';
import { relu } from './relu.ts';
import type { GradientRule } from './rule.ts';
import { softmaxCrossEntropyLoss } from './softmax-cross-entropy-loss.ts';
import { transpose } from './transpose.ts';

const RULES: Readonly<Record<string, GradientRule>> = {
  Add: add,
  BatchNormalization: frozenBatchNormalization,
  Cast: cast,
  Conv: convolution,
  Dropout: dropout,
  Flatten: flatten,
  Gemm: gemm,
  GlobalAveragePool: globalAveragePool,
  LogSoftmax: logSoftmax,
  MaxPool: maxPool,
  Mul: mul,
  ReduceSum: reduceSum,
  Relu: relu,
  SoftmaxCrossEntropyLoss: softmaxCrossEntropyLoss,
  Transpose: transpose,
};

/** Of the addon's operators on channels-last maps. */
const NATIVE_RULES: Readonly<Record<string, GradientRule>> = {
  BatchNorm: nativeBatchNorm,
  Convolution: nativeConvolution,
  GlobalAveragePool: nativeGlobalAveragePool,
  MaxPool: nativeMaxPool,
};

/** Where the walk left the gradients of the trained parameters, each in one of the two. */
export interface Gradients {
  /** Tensor by parameter. */
  readonly computed: ReadonlyMap<string, string>;
  /** By parameter the flag, bool [1], of a node that adds the gradient to its buffer by itself. */
  readonly accumulated: ReadonlyMap<string, string>;
}

/**
 * Adds the nodes of a training step to a graph: the forward nodes in the form that training needs, then, for what lies
 * between the loss and something trained, the backward nodes.
 *
 * @param nodes forward nodes in topological order, the loss last
 * @param trainable names of the trained parameters
 * @param isLive whether a BatchNorm, by its node's name, trains on the batch's statistics
 * @param lossGradient tensor that backpropagation starts from, the shape of the loss
 */
export function addTrainingStep(
  graph: GraphBuilder,
  nodes: readonly Node[],
  trainable: ReadonlySet<string>,
  isLive: (batchNorm: string) => boolean,
  lossGradient: string,
): Gradients {
  const needed = new Set(trainable);
  const ruleOf = (node: Node) => {
    if (node.domain === ORTUNE) return NATIVE_RULES[node.op];
    return node.op === 'BatchNormalization' && isLive(node.name) ? liveBatchNormalization : RULES[node.op];
  };

  for (const node of nodes) {
    const differentiated = node.inputs.some((input) => needed.has(input));
    if (differentiated) for (const output of node.outputs) needed.add(output);
    const rule = ruleOf(node);
    if (rule?.forward && (differentiated || rule.always)) rule.forward(node, graph);
    else graph.copy(node);
  }

  const consumers = countConsumers(nodes, needed);
  const gradients = new Map<string, string[]>();
  /** How many parts of a tensor's gradient there have been, those taken over among them. */
  const given = new Map<string, number>();
  const accumulated = new Map<string, string>();
  const loss = nodes.at(-1)?.outputs[0] as string;
  gradients.set(loss, [lossGradient]);

  for (const node of nodes.toReversed()) {
    if (!node.inputs.some((input) => needed.has(input))) continue;
    const outputGradient = summed(graph, node.outputs[0] as string, gradients);
    const rule = ruleOf(node);
    if (!outputGradient) continue;
    if (!rule) throw new Error(`no gradient rule for operator ${node.op} (node '${node.name}')`);
    const give = (input: string, gradient: string) => {
      given.set(input, (given.get(input) ?? 0) + 1);
      gradients.set(input, [...(gradients.get(input) ?? []), gradient]);
    };
    rule.backward({
      graph,
      node,
      outputGradient,
      needs: (input) => needed.has(input),
      gradientOf: (input) => {
        const several = (consumers.get(input) ?? 0) > 1;
        const name = several ? `${input}_grad_${given.get(input) ?? 0}` : `${input}_grad`;
        give(input, name);
        return name;
      },
      takePart: (input) => gradients.get(input)?.pop(),
      accumulates: (parameter, flag) => accumulated.set(parameter, flag),
      pass: give,
    });
  }
  const others = [...trainable].filter((parameter) => !accumulated.has(parameter));
  const computed = new Map(
    others.map((parameter) => [parameter, summed(graph, parameter, gradients) ?? missing(parameter)]),
  );
  return { computed, accumulated };
}

/** The one gradient of a tensor: where several nodes gave a part, a Sum of them, which ONNX Runtime has for no bfloat16. */
function summed(graph: GraphBuilder, of: string, gradients: Map<string, string[]>): string | undefined {
  const parts = gradients.get(of);
  if (!parts || parts.length < 2) return parts?.[0];
  const sum = graph.like(`${of}_grad`, of);
  if (sum.type !== 'bfloat16') return graph.add('Sum', parts, sum);
  const wide = parts.map((part) => graph.cast(part, 'float32'));
  const whole = graph.add('Sum', wide, { ...sum, name: `${of}_grad_float32`, type: 'float32' });
  return graph.cast(whole, 'bfloat16', sum.name);
}

function countConsumers(nodes: readonly Node[], needed: ReadonlySet<string>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const node of nodes) {
    for (const input of node.inputs) if (needed.has(input)) counts.set(input, (counts.get(input) ?? 0) + 1);
  }
  return counts;
}

function missing(parameter: string): never {
  throw new Error(`the loss does not depend on parameter '${parameter}', so it cannot be trained`);
}
