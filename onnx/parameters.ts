import type { Graph, Initializer } from './model.ts';

/** Operators whose initializers are parameters; those of others are constants, as in the normalisation of pixels. */
const PARAMETER_OPS: ReadonlySet<string> = new Set(['BatchNormalization', 'Conv', 'Gemm']);

/** Weights, and BatchNorm's scale, offset and running statistics: what pretrained weights are looked up for, in the graph's order. */
export function parametersOf(graph: Graph): Initializer[] {
  const read = new Set(graph.nodes.filter(({ op }) => PARAMETER_OPS.has(op)).flatMap(({ inputs }) => inputs));
  return [...graph.initializers.values()].filter(({ name }) => read.has(name));
}

/** Whether BatchNorm trains on the batch's statistics or stays on its running ones; its scale and offset may train in both. */
export type BatchNormMode = 'live' | 'frozen';

/** Names of the running means and variances of every BatchNorm, or of those that `wanted` takes by their nodes' names. */
export function runningStatistics(graph: Graph, wanted: (batchNorm: string) => boolean = () => true): Set<string> {
  const nodes = graph.nodes.filter(({ op, name }) => op === 'BatchNormalization' && wanted(name));
  return new Set(nodes.flatMap(({ inputs }) => inputs.slice(3, 5)));
}
