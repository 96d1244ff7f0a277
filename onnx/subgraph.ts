import { valueInfo } from './graph.ts';
import type { Graph, Model, Node, ValueInfo } from './model.ts';

/**
 * The part of a model between some of its tensors: what `outputs` are computed from, taking `inputs` as given.
 *
 * @param inputs names of tensors that become the inputs; those of the model itself need not be named
 * @throws Error when a name is no tensor of the model
 */
export function extract(model: Model, inputs: readonly string[], outputs: readonly string[]): Model {
  const { graph } = model;
  const given = new Set(inputs);
  const wanted = new Set(outputs);
  const nodes: Node[] = [];
  for (const node of graph.nodes.toReversed()) {
    if (!node.outputs.some((output) => wanted.has(output) && !given.has(output))) continue;
    nodes.unshift(node);
    for (const input of node.inputs) wanted.add(input);
  }
  const named = (name: string): ValueInfo => {
    const { type, dims } = valueInfo(graph, name);
    return { name, type, dims };
  };
  const borders = new Set([...inputs, ...outputs]);
  const part: Graph = {
    name: graph.name,
    inputs: [...inputs.map(named), ...graph.inputs.filter((input) => wanted.has(input.name) && !given.has(input.name))],
    outputs: outputs.map(named),
    nodes,
    initializers: new Map([...graph.initializers].filter(([name]) => wanted.has(name))),
    // A border of the whole may lie within the part: its type and shape stay known.
    values: new Map(
      [...graph.values.values(), ...graph.outputs]
        .filter(({ name }) => wanted.has(name) && !borders.has(name))
        .map((value) => [value.name, value]),
    ),
  };
  return { ...model, graph: part };
}

/** The same model with other values for some of its float32 initializers, by name. */
export function withInitializers(model: Model, values: ReadonlyMap<string, Uint8Array>): Model {
  const initializers = new Map(model.graph.initializers);
  for (const [name, data] of values) {
    const old = initializers.get(name);
    if (!old) throw new Error(`graph '${model.graph.name}' has no initializer '${name}'`);
    if (old.data.byteLength !== data.byteLength) {
      throw new Error(`initializer '${name}': expected ${old.data.byteLength} bytes, received ${data.byteLength}`);
    }
    initializers.set(name, { ...old, data });
  }
  return { ...model, graph: { ...model.graph, initializers } };
}
