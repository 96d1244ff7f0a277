import { isDeepStrictEqual } from 'node:util';
import { valueInfo } from './graph.ts';
import type { Graph, Node } from './model.ts';

/** What follows a BatchNorm and can be computed with it. */
export interface Tail {
  /** Added to what the BatchNorm gives. */
  readonly residual: string | undefined;
  readonly relu: boolean;
  /** The tensor that the last of all that gives. */
  readonly output: string;
  /** The nodes that are no longer needed. */
  readonly nodes: readonly Node[];
}

/**
 * Finds an Add and a Relu that follow a BatchNorm, where no other node reads what lies between. An Add of two BatchNorms
 * goes with the later one, before which the other summand is there.
 */
export function tailsOf(graph: Graph, batchNorms: readonly Node[]): Map<Node, Tail> {
  const positions = new Map(graph.nodes.flatMap((node, index) => node.outputs.map((output) => [output, index])));
  const readers = new Map<string, Node[]>();
  for (const node of graph.nodes) {
    for (const input of node.inputs) readers.set(input, [...(readers.get(input) ?? []), node]);
  }
  const read = new Set(graph.outputs.map(({ name }) => name));
  const onlyReader = (tensor: string, op: string): Node | undefined => {
    const [reader, ...others] = readers.get(tensor) ?? [];
    return reader?.op === op && reader.domain === '' && others.length === 0 && !read.has(tensor) ? reader : undefined;
  };
  const shape = (tensor: string) => valueInfo(graph, tensor).dims;

  return new Map(
    batchNorms.map((batchNorm) => {
      let output = batchNorm.outputs[0] as string;
      const start = positions.get(output) as number;
      const nodes: Node[] = [];
      const add = onlyReader(output, 'Add');
      let residual = add?.inputs.find((input) => input !== output);
      if (add && residual !== undefined) {
        const isThere = (positions.get(residual) ?? -1) < start;
        if (isThere && isDeepStrictEqual(shape(residual), shape(output))) nodes.push(add);
        else residual = undefined;
      }
      output = nodes.at(-1)?.outputs[0] ?? output;
      const relu = onlyReader(output, 'Relu');
      if (relu) nodes.push(relu);
      output = nodes.at(-1)?.outputs[0] ?? output;
      return [batchNorm, { residual, relu: relu !== undefined, output, nodes }];
    }),
  );
}
