import { valueInfo } from './graph.ts';
import type { Graph } from './model.ts';
import { parametersOf, runningStatistics } from './parameters.ts';

/** Size of a network. */
export interface Summary {
  /** Nodes with weights, by operator. */
  readonly layers: { readonly convolutions: number; readonly batchNorms: number; readonly linear: number };
  /** Numbers that training changes. */
  readonly parameters: number;
  /** Running means and variances of BatchNorm. */
  readonly statistics: number;
  /** Multiplications with additions of convolutions and linear layers, for one picture. */
  readonly multiplyAdds: number;
}

export function summarise(graph: Graph): Summary {
  const count = (op: string) => graph.nodes.filter((node) => node.op === op).length;
  const statistics = runningStatistics(graph);
  const size = (dims: readonly number[]) => dims.reduce((product, length) => product * length, 1);
  const parameters = parametersOf(graph);
  const total = (wanted: (name: string) => boolean) =>
    parameters.reduce((sum, { name, dims }) => sum + (wanted(name) ? size(dims) : 0), 0);
  return {
    layers: { convolutions: count('Conv'), batchNorms: count('BatchNormalization'), linear: count('Gemm') },
    parameters: total((name) => !statistics.has(name)),
    statistics: total((name) => statistics.has(name)),
    multiplyAdds: graph.nodes.reduce((sum, node) => {
      const weights = graph.initializers.get(node.inputs[1] ?? '');
      if (!weights || (node.op !== 'Conv' && node.op !== 'Gemm')) return sum;
      // Each weight is used once for every place of the output map.
      const places = node.op === 'Conv' ? (valueInfo(graph, node.outputs[0] as string).dims.slice(2) as number[]) : [];
      return sum + size(weights.dims) * size(places);
    }, 0),
  };
}
