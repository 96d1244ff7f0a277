import {
  type Attribute,
  bytesOf,
  type Dimension,
  ELEMENT_TYPES,
  type ElementType,
  type Graph,
  type Initializer,
  type Node,
  type ValueInfo,
} from './model.ts';

export const int = (value: number): Attribute => ({ kind: 'int', value });
export const float = (value: number): Attribute => ({ kind: 'float', value });
export const ints = (...value: number[]): Attribute => ({ kind: 'ints', value });
export const string = (value: string): Attribute => ({ kind: 'string', value });

/** Operators beyond ai.onnx: the gradients, the optimizers and the accumulator. */
export const MICROSOFT = 'com.microsoft';

export interface NodeOptions {
  readonly name?: string;
  readonly domain?: string;
  readonly attributes?: Readonly<Record<string, Attribute>>;
}

/** A node of ONNX's own operators with one output, whose name it takes. */
export function nodeOf(
  op: string,
  inputs: readonly string[],
  output: string,
  attributes: Node['attributes'] = {},
): Node {
  return { op, domain: '', name: output, inputs, outputs: [output], attributes };
}

/** Grows a graph node by node, with the type and shape of every tensor known. */
export class GraphBuilder {
  readonly #name: string;
  readonly #inputs: ValueInfo[] = [];
  readonly #outputs: ValueInfo[] = [];
  readonly #nodes: Node[] = [];
  readonly #initializers = new Map<string, Initializer>();
  readonly #values = new Map<string, ValueInfo>();

  constructor(name: string) {
    this.#name = name;
  }

  input(value: ValueInfo): string {
    this.#inputs.push(value);
    this.#values.set(value.name, value);
    return value.name;
  }

  /** Makes a tensor of the graph one of its outputs. */
  output(name: string): void {
    this.#outputs.push(this.value(name));
  }

  initializer(tensor: Initializer): string {
    this.#initializers.set(tensor.name, tensor);
    this.#values.set(tensor.name, tensor);
    return tensor.name;
  }

  /** A small constant; the same name with the same numbers may be asked for again. A Uint8Array holds booleans. */
  constant(
    name: string,
    values: Float32Array | Float64Array | BigInt64Array | Uint8Array,
    dims: readonly number[] = [values.length],
  ): string {
    return this.initializer({ name, type: constantType(values), dims, data: bytesOf(values) });
  }

  /**
   * Adds a node with one output.
   * @returns the output's name
   */
  add(op: string, inputs: readonly string[], output: ValueInfo, options: NodeOptions = {}): string {
    this.addNode(op, inputs, [output], options);
    return output.name;
  }

  /** Adds a node with any number of outputs; `undefined` omits an optional one. */
  addNode(
    op: string,
    inputs: readonly string[],
    outputs: readonly (ValueInfo | undefined)[],
    options: NodeOptions = {},
  ): void {
    for (const output of outputs) if (output) this.#values.set(output.name, output);
    this.#nodes.push({
      op,
      domain: options.domain ?? '',
      name: options.name ?? `${outputs.find((output) => output)?.name}`,
      inputs,
      outputs: outputs.map((output) => output?.name ?? ''),
      attributes: options.attributes ?? {},
    });
  }

  /**
   * A tensor of this graph in another type: itself where it has that; the same cast is made once.
   * @returns the name of what has the type
   */
  cast(name: string, type: ElementType, output = `${name}_${type}`): string {
    if (this.value(name).type === type) return name;
    if (this.has(output)) return output;
    const attributes = { to: int(ELEMENT_TYPES[type].code) };
    return this.add('Cast', [name], { ...this.like(output, name), type }, { attributes });
  }

  /** Adds a node of another graph whose outputs' types and shapes this one knows (see {@link declare}). */
  copy(node: Node): void {
    this.#nodes.push(node);
  }

  /** Makes the type and shape of a tensor known before the node that gives it is added. */
  declare(value: ValueInfo): void {
    this.#values.set(value.name, value);
  }

  /** The node that gives a tensor; `undefined` for an input or initializer. */
  maker(name: string): Node | undefined {
    return this.#nodes.find(({ outputs }) => outputs.includes(name));
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  /** Type and shape of a tensor of this graph. */
  value(name: string): ValueInfo {
    const value = this.#values.get(name);
    if (!value) throw new Error(`graph '${this.#name}' has no tensor '${name}'`);
    return value;
  }

  /** The same type and shape as a tensor of this graph, under another name. */
  like(name: string, tensor: string): ValueInfo {
    return { ...this.value(tensor), name };
  }

  build(): Graph {
    const borders = new Set([...this.#inputs, ...this.#outputs].map((value) => value.name));
    const made = new Set(this.#nodes.flatMap((node) => node.outputs));
    const between = [...this.#values].filter(([name]) => made.has(name) && !borders.has(name));
    return {
      name: this.#name,
      inputs: this.#inputs,
      outputs: this.#outputs,
      nodes: this.#nodes,
      initializers: this.#initializers,
      values: new Map(between.map(([name, { type, dims }]) => [name, { name, type, dims }])),
    };
  }
}

function constantType(values: ArrayBufferView): ElementType {
  if (values instanceof Float32Array) return 'float32';
  if (values instanceof Float64Array) return 'float64';
  return values instanceof BigInt64Array ? 'int64' : 'bool';
}

/** A tensor's type and shape. */
export function tensor(name: string, type: ElementType, ...dims: Dimension[]): ValueInfo {
  return { name, type, dims };
}

/** Type and shape of any tensor of a finished graph. */
export function valueInfo(graph: Graph, name: string): ValueInfo {
  const value =
    graph.values.get(name) ??
    graph.initializers.get(name) ??
    [...graph.inputs, ...graph.outputs].find((candidate) => candidate.name === name);
  if (!value) throw new Error(`graph '${graph.name}' has no tensor '${name}'`);
  return value;
}
