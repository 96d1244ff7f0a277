import { string, tensor } from './graph.ts';
import type { Node, ValueInfo } from './model.ts';

export const LABEL = 'label';
export const LOSS = 'loss';

/**
 * Mean cross-entropy of `logits` float32 [batch, classes] with `label` int64 [batch]. The log-probabilities are an
 * output because the gradient reads them. Labels are not range-checked by the kernels: whoever feeds them must.
 */
export function crossEntropy(logits: ValueInfo): { node: Node; values: ValueInfo[] } {
  const node: Node = {
    op: 'SoftmaxCrossEntropyLoss',
    domain: '',
    name: LOSS,
    inputs: [logits.name, LABEL],
    outputs: [LOSS, 'log_probabilities'],
    attributes: { reduction: string('mean') },
  };
  return { node, values: [tensor(LOSS, 'float32'), { ...logits, name: 'log_probabilities' }] };
}
