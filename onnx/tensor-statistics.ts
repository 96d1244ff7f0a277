import { int, ints, nodeOf, valueInfo } from './graph.ts';
import type { Model, Node, ValueInfo } from './model.ts';

/** What some pictures made of a feature map. */
export interface TensorStatistics {
  /** Its least and its largest number. */
  readonly least: number;
  readonly most: number;
  /** Of each channel, [channels]. */
  readonly means: Float64Array;
}

/** Names of a tensor's statistics among the outputs. */
export const leastOf = (tensor: string): string => `${tensor}_least`;
export const mostOf = (tensor: string): string => `${tensor}_most`;
export const meansOf = (tensor: string): string => `${tensor}_means`;

/**
 * A model that gives, in place of its own outputs, statistics of some of its feature maps for each picture: the least and
 * the largest number, float32 [batch], and the mean of each channel, float32 [batch, channels].
 */
export function withStatistics(model: Model, tensors: readonly string[]): Model {
  const { graph } = model;
  const outputs: ValueInfo[] = [];
  const nodes: Node[] = [];
  for (const tensor of tensors) {
    const { dims } = valueInfo(graph, tensor);
    const reduce = (op: string, name: string, ...axes: number[]) => {
      outputs.push({ name, type: 'float32', dims: dims.filter((_, axis) => !axes.includes(axis)) });
      nodes.push(nodeOf(op, [tensor], name, { axes: ints(...axes), keepdims: int(0) }));
    };
    reduce('ReduceMin', leastOf(tensor), 1, 2, 3);
    reduce('ReduceMax', mostOf(tensor), 1, 2, 3);
    reduce('ReduceMean', meansOf(tensor), 2, 3);
  }
  return { ...model, graph: { ...graph, nodes: [...graph.nodes, ...nodes], outputs } };
}
