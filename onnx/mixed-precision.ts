import { GraphBuilder } from './graph.ts';
import type { Graph, Node } from './model.ts';

/** Begins half precision: takes all its inputs in it. */
const BEGINS = 'Conv';
/**
 * Operators that go on in half precision where one of these inputs comes so, and take all of them so; everything else
 * takes float32. Max-pooling could follow too, but its CUDA kernel loses the place of a maximum of 2048 or more, and
 * would scatter its gradient out of bounds.
 */
const FOLLOWS: Readonly<Record<string, (node: Node) => readonly string[]>> = {
  Add: ({ inputs }) => inputs,
  Relu: ({ inputs }) => inputs,
  // In training form alone, which has a CUDA kernel for a half map and float32 parameters; the inference form has none.
  BatchNormalization: ({ inputs }) => inputs.slice(0, 1),
};

/**
 * The same forward graph with its convolutions, and what lies between them, in float16. Inputs, outputs and initializers
 * stay float32: a weight is cast where it is read, so that training goes on in its float32 values.
 *
 * @param isLive whether a BatchNorm, by its node's name, is to train on the batch's statistics
 */
export function toMixedPrecision(graph: Graph, isLive: (batchNorm: string) => boolean): Graph {
  const builder = new GraphBuilder(graph.name);
  for (const input of graph.inputs) builder.input(input);
  for (const initializer of graph.initializers.values()) builder.initializer(initializer);
  for (const value of [...graph.values.values(), ...graph.outputs]) builder.declare(value);

  const isHalf = (name: string) => builder.has(name) && builder.value(name).type === 'float16';
  /** The inputs that a node takes in half precision, if it runs in it. */
  const halves = (node: Node): readonly string[] => {
    if (node.op === BEGINS) return node.inputs;
    if (node.op === 'BatchNormalization' && !isLive(node.name)) return [];
    const maps = FOLLOWS[node.op]?.(node) ?? [];
    return maps.some(isHalf) ? maps : [];
  };

  for (const node of graph.nodes) {
    const half = halves(node);
    if (half.length > 0) for (const name of node.outputs) builder.declare({ ...builder.value(name), type: 'float16' });
    const inputs = node.inputs.map((name) => {
      const wanted = half.includes(name) ? 'float16' : 'float32';
      return isHalf(name) === (wanted === 'float16') ? name : builder.cast(name, wanted);
    });
    builder.copy({ ...node, inputs });
  }
  for (const { name } of graph.outputs) builder.output(name);
  return builder.build();
}
