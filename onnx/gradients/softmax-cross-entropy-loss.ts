import { MICROSOFT } from '../graph.ts';
import type { GradientRule } from './rule.ts';

/** Cross-entropy of logits with class numbers; the forward node's second output, the log-probabilities, is read here. */
export const softmaxCrossEntropyLoss: GradientRule = {
  backward({ graph, node, outputGradient, gradientOf }) {
    const [logits, ...targets] = node.inputs as [string, string];
    const logProbabilities = node.outputs[1] as string;
    const output = graph.like(gradientOf(logits), logits);
    graph.add('SoftmaxCrossEntropyLossGrad', [outputGradient, logProbabilities, ...targets], output, {
      domain: MICROSOFT,
      attributes: node.attributes,
    });
  },
};
