import { ELEMENT_TYPES, type Graph, type Node, type ValueInfo } from './model.ts';

/** Operators that ONNX Runtime, or the addon, may write over one of their inputs, by that input's place. */
const IN_PLACE: Readonly<Record<string, readonly number[]>> = {
  Add: [0, 1],
  ConvolutionInputGradient: [2],
  Flatten: [0],
  Identity: [0],
  Mul: [0, 1],
  Relu: [0],
  Reshape: [0],
  Sum: [0, 1],
};

/**
 * Most bytes that the tensors between a graph's nodes take together while it runs once, by ONNX Runtime's own order of the
 * nodes. Initializers and inputs are not among them.
 *
 * @param batch length of the symbolic dimension
 */
export function liveBytes(graph: Graph, batch: number): number {
  const sizes = new Map([...graph.values.values(), ...graph.outputs].map((value) => [value.name, bytes(value, batch)]));
  const order = executionOrder(graph);
  const uses = new Map<string, number>();
  for (const name of order.flatMap(inputsOf)) uses.set(name, (uses.get(name) ?? 0) + 1);
  for (const { name } of graph.outputs) uses.set(name, Number.POSITIVE_INFINITY);
  let live = 0;
  let most = 0;
  for (const node of order) {
    const inputs = inputsOf(node);
    for (const name of inputs) uses.set(name, (uses.get(name) as number) - 1);
    const taken = new Set<string>();
    for (const output of node.outputs) {
      const size = sizes.get(output) ?? 0;
      const reused = (IN_PLACE[node.op] ?? [])
        .map((place) => node.inputs[place] ?? '')
        .find((name) => uses.get(name) === 0 && sizes.get(name) === size && !taken.has(name));
      if (reused === undefined) live += size;
      else taken.add(reused);
    }
    most = Math.max(most, live + Math.max(0, ...branchesOf(node).map((branch) => liveBytes(branch, batch))));
    for (const name of new Set(inputs)) if (uses.get(name) === 0 && !taken.has(name)) live -= sizes.get(name) ?? 0;
    for (const output of node.outputs) if (!uses.has(output)) live -= sizes.get(output) ?? 0;
  }
  return most;
}

/** What a node reads, and what the branches of an If read of the graph around it. */
function inputsOf(node: Node): string[] {
  return [...node.inputs, ...branchesOf(node).flatMap(({ nodes }) => nodes.flatMap(inputsOf))];
}

const branchesOf = ({ attributes }: Node): Graph[] =>
  Object.values(attributes).flatMap((attribute) => (attribute.kind === 'graph' ? [attribute.value] : []));

const bytes = ({ type, dims }: ValueInfo, batch: number): number =>
  dims.reduce<number>(
    (size, length) => size * (typeof length === 'number' ? length : batch),
    ELEMENT_TYPES[type].bytes,
  );

/** `Graph::ReverseDFSFrom` of ONNX Runtime: from the nodes that nothing reads, what they read first. */
function executionOrder({ nodes }: Graph): Node[] {
  const makers = new Map(nodes.flatMap((node, index) => node.outputs.map((output) => [output, index] as const)));
  const before = nodes.map((node) => {
    const found = inputsOf(node).flatMap((name) => makers.get(name) ?? []);
    return [...new Set(found)].sort((left, right) => left - right);
  });
  const read = new Set(before.flat());
  const stack = nodes.flatMap((_, index) => (read.has(index) ? [] : [{ index, leave: false }]));
  const visited = new Set<number>();
  const order: Node[] = [];
  for (let entry = stack.pop(); entry; entry = stack.pop()) {
    const { index, leave } = entry;
    if (leave) order.push(nodes[index] as Node);
    if (leave || visited.has(index)) continue;
    visited.add(index);
    stack.push({ index, leave: true });
    for (const other of before[index] as number[]) if (!visited.has(other)) stack.push({ index: other, leave: false });
  }
  return order;
}
