import { type GraphBuilder, ints } from '../graph.ts';
import { ORTUNE } from '../native-update.ts';
import type { GradientRule } from './rule.ts';

/** Attribute that says how large a channels-last map is, [H, W]. */
export function sizeOf(graph: GraphBuilder, map: string) {
  const [, height, width] = graph.value(map).dims as [unknown, number, number];
  return ints(height, width);
}

/** Max-pooling of channels-last maps, by the places of the maxima within their windows, the forward node's second output. */
export const nativeMaxPool: GradientRule = {
  backward({ graph, node, outputGradient, gradientOf }) {
    const [input] = node.inputs as [string];
    const places = node.outputs[1] as string;
    graph.add('MaxPoolGradient', [outputGradient, places], graph.like(gradientOf(input), input), {
      domain: ORTUNE,
      attributes: { ...node.attributes, size: sizeOf(graph, input) },
    });
  },
};

/** The mean over a channels-last map, whose gradient has no layout: [batch, channels, 1, 1]. The map tells size and type. */
export const nativeGlobalAveragePool: GradientRule = {
  backward({ graph, node, outputGradient, gradientOf }) {
    const [input] = node.inputs as [string];
    graph.add('GlobalAveragePoolGradient', [outputGradient, input], graph.like(gradientOf(input), input), {
      domain: ORTUNE,
    });
  },
};
