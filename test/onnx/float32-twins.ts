import { int, tensor } from '../../onnx/graph.ts';
import { type Graph, type Node, ORTUNE } from '../../onnx/index.ts';
import { ELEMENT_TYPES, type ElementType, type ValueInfo } from '../../onnx/model.ts';
import { LAYER_MAPS } from '../../onnx/native-layers.ts';

/** Two outputs of a graph to be compared: of an operator on bfloat16 maps, and of the same on the same numbers in float32. */
export interface Pair {
  readonly op: string;
  readonly own: string;
  readonly twin: string;
  /** Whether it is a map, which the operator rounds. */
  readonly isMap: boolean;
}

/**
 * A training graph with a float32 twin of each of the addon's operators on bfloat16 maps: it reads the same numbers, the
 * weights rounded as the operator rounds them, and what both give become outputs of the graph.
 */
export function withFloat32Twins(graph: Graph): { graph: Graph; pairs: Pair[] } {
  const known = [...graph.initializers.values(), ...graph.values.values(), ...graph.inputs, ...graph.outputs];
  const values = new Map<string, ValueInfo>(known.map((value) => [value.name, value]));
  const convolutions = new Map(graph.nodes.filter(({ op }) => op === 'Convolution').map((one) => [one.inputs[1], one]));
  const added: Node[] = [];
  const outputs: ValueInfo[] = [];
  const pairs: Pair[] = [];

  const make = (op: string, inputs: readonly string[], value: ValueInfo, attributes: Node['attributes'] = {}) => {
    if (values.has(value.name)) return value.name;
    values.set(value.name, value);
    added.push({ op, domain: '', name: value.name, inputs, outputs: [value.name], attributes });
    return value.name;
  };
  const cast = (name: string, type: 'float32' | 'bfloat16') =>
    make(
      'Cast',
      [name],
      { ...values.get(name)!, name: `${name}.${type}`, type },
      { to: int(ELEMENT_TYPES[type].code) },
    );
  const wide = (name: string) => (values.get(name)?.type === 'bfloat16' ? cast(name, 'float32') : name);
  /** Memory of its own, for what an operator moves. */
  const copied = (name: string, of: string) =>
    make('Mul', [name, 'one'], { ...values.get(name)!, name: `${name}.copied_for_${of}` });
  const compare = (op: string, own: string, twin: string, isMap: boolean) => {
    pairs.push({ op, own, twin, isMap });
    for (const name of [own, twin]) outputs.push(values.get(name)!);
  };

  for (const node of graph.nodes) {
    const maps = node.domain === ORTUNE ? LAYER_MAPS[node.op] : undefined;
    const halves = [...node.inputs, ...node.outputs].some((name) => values.get(name)?.type === 'bfloat16');
    if (!maps || !halves) continue;
    const of = `twin_${node.name}`;
    let inputs = node.inputs.map((name) => wide(name));
    if (/^Convolution(InputGradient)?$/.test(node.op)) inputs[1] = wide(cast(node.inputs[1]!, 'bfloat16'));
    if (node.op === 'BatchNorm') inputs = inputs.map((name, at) => (at === 3 || at === 4 ? copied(name, of) : name));
    if (node.op === 'ConvolutionWeightGradient') {
      const [, gradient, buffer, reset] = inputs as [string, string, string, string];
      const weights = node.inputs[2]!.replace(/_grad\.accumulation\.buffer$/, '');
      // What a BatchNorm makes of the input again has been rounded.
      const input = wide(convolutions.get(weights)!.inputs[0]!);
      inputs = [input, gradient, copied(buffer, of), reset];
    }
    const made = node.outputs.map((name): string => {
      if (name === '') return '';
      const value = values.get(name)!;
      const type: ElementType = value.type === 'bfloat16' ? 'float32' : value.type;
      const twin = `${of}.${name}.made`;
      values.set(twin, { ...value, name: twin, type });
      return twin;
    });
    added.push({ ...node, name: of, inputs, outputs: made });
    if (node.op === 'ConvolutionWeightGradient') {
      const [own, twin] = [
        [node.outputs[0]!, node.inputs[2]!],
        [made[0]!, inputs[2]!],
      ].map(([flag, buffer]) =>
        make('Where', [flag!, buffer!, buffer!], { ...values.get(buffer!)!, name: `${buffer}.filled` }),
      );
      compare(node.op, own!, twin!, false);
      continue;
    }
    for (const [at, name] of node.outputs.entries()) {
      if (name === '') continue;
      // Not under its own name: the training API keeps back what ends as a gradient's does.
      const value = { ...values.get(made[at]!)!, name: `${of}.${name}.own` };
      const own = wide(name) === name ? make('Identity', [name], value) : wide(name);
      compare(node.op, own, made[at]!, maps.outputs.includes(at));
    }
  }
  const one = { ...tensor('one', 'float32'), dims: [], data: new Uint8Array(Float32Array.of(1).buffer) };
  const borders = new Set([...graph.inputs, ...graph.outputs, ...outputs].map(({ name }) => name));
  const between = [...values].filter(([name]) => !borders.has(name) && !graph.initializers.has(name));
  return {
    graph: {
      ...graph,
      nodes: [...graph.nodes, ...added],
      outputs: [...graph.outputs, ...outputs],
      initializers: new Map([...graph.initializers, ['one', one]]),
      values: new Map(between),
    },
    pairs,
  };
}
