import type { Graph, Initializer } from './model.ts';

/** Operators whose initializers are parameters; those of others are constants, as in the normalisation of pixels. */
const PARAMETER_OPS: ReadonlySet<string> = new Set(['BatchNormalization', 'Conv', 'Gemm']);

/** Weights, and BatchNorm's scale, offset and running statistics: what pretrained weights are looked up for, in the graph's order. */
export function parametersOf(graph: Graph): Initializer[] {
  const read = new Set(graph.nodes.filter(({ op }) => PARAMETER_OPS.has(op)).flatMap(({ inputs }) => inputs));
  return [...graph.initializers.values()].filter(({ name }) => read.has(name));
}

/**
 * What training does with a BatchNorm. `live`: it works on the batch's own statistics, its running ones follow, and its
 * scale and offset may train. `affine`: it works on its running statistics, which stay, and its scale and offset may
 * train. `frozen`: nothing of it changes.
 */
export type BatchNormMode = 'live' | 'affine' | 'frozen';

/** Names of the running means and variances of every BatchNorm, or of those that `wanted` takes by their nodes' names. */
export function runningStatistics(graph: Graph, wanted?: (batchNorm: string) => boolean): Set<string> {
  return batchNormInputs(graph, 3, wanted);
}

/** Names of the scales and offsets of every BatchNorm, or of those that `wanted` takes by their nodes' names. */
export function affineParameters(graph: Graph, wanted?: (batchNorm: string) => boolean): Set<string> {
  return batchNormInputs(graph, 1, wanted);
}

function batchNormInputs({ nodes }: Graph, from: 1 | 3, wanted: (batchNorm: string) => boolean = () => true) {
  const batchNorms = nodes.filter(({ op, name }) => op === 'BatchNormalization' && wanted(name));
  return new Set(batchNorms.flatMap(({ inputs }) => inputs.slice(from, from + 2)));
}
