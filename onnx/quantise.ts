import { int, nodeOf, valueInfo } from './graph.ts';
import {
  bytesOf,
  type ElementType,
  type Graph,
  type Initializer,
  type Model,
  type Node,
  type ValueInfo,
} from './model.ts';
import { quantiseLayer } from './quantise-weights.ts';
import type { TensorStatistics } from './tensor-statistics.ts';

/**
 * Tensors that are quantised to eight bits, in the graph's order: what the network's convolutions read, and what its
 * additions and max-pooling read. The last feature map, the head and the activation maps stay as they are: they are a
 * hundredth of the work and decide the answer.
 */
export function quantisedTensors(graph: Graph): string[] {
  const { nodes } = graph;
  const wanted = new Set(
    nodes.flatMap((node) => {
      if (isLayer(graph, node)) return node.inputs.slice(0, 1);
      return node.op === 'Add' || node.op === 'MaxPool' ? node.inputs : [];
    }),
  );
  return nodes.flatMap(({ outputs }) => outputs).filter((name) => wanted.has(name));
}

/** A convolution with weights of its own. */
const isLayer = ({ initializers }: Graph, { op, inputs }: Node) => op === 'Conv' && initializers.has(inputs[1] ?? '');

/**
 * The network with eight-bit integers: QuantizeLinear and DequantizeLinear around convolutions, additions and max-pooling,
 * in the places where ONNX Runtime fuses them to integer operators ("QDQ" format). Weights are int8, symmetric, with a
 * scale for each output channel; what flows between the layers is uint8 with one scale for each tensor; biases are int32.
 * Initializers keep their names.
 *
 * @param model whose convolutions have biases in place of BatchNorm (see `foldBatchNorms`)
 * @param statistics of all {@link quantisedTensors}
 * @throws Error when a tensor's statistics are missing or not finite
 */
export function quantise(model: Model, statistics: ReadonlyMap<string, TensorStatistics>): Model {
  const { graph } = model;
  const parts = new Parts(graph);
  const wanted = new Set(quantisedTensors(graph));
  const grids = new Map<string, Grid>();
  /** What reads a quantised tensor reads this instead. */
  const restored = (name: string) => (wanted.has(name) ? restoredName(name) : name);

  for (const node of graph.nodes) {
    const inputs = node.inputs.map(restored);
    if (isLayer(graph, node)) {
      const [input, weights, bias] = node.inputs as [string, string, string];
      const { scale } = grids.get(input) as Grid;
      const { means } = statistics.get(input) as TensorStatistics;
      const [floats, offsets] = [weights, bias].map((name) => graph.initializers.get(name)) as [
        Initializer,
        Initializer,
      ];
      const layer = quantiseLayer(floats, offsets, { scale, means });
      inputs[1] = parts.integers(weights, 'int8', layer.weights, layer.scales);
      inputs[2] = parts.integers(bias, 'int32', layer.biases, layer.biasScales);
    }
    parts.nodes.push({ ...node, inputs });
    for (const output of node.outputs.filter((name) => wanted.has(name))) {
      // The largest of some numbers is one of them: what comes out of max-pooling keeps their grid, and needs no arithmetic.
      const same = node.op === 'MaxPool' ? grids.get(node.inputs[0] as string) : undefined;
      const grid = same ?? gridOf(output, statistics.get(output));
      grids.set(output, grid);
      parts.throughGrid(output, grid);
    }
  }
  const { nodes, initializers, values } = parts;
  return { ...model, graph: { ...graph, nodes, initializers, values } };
}

const restoredName = (name: string) => `${name}_dequantised`;

interface Grid {
  readonly scale: number;
  /** The integer that stands for 0. */
  readonly zeroPoint: number;
}

/** 256 even steps over a range that has 0 among them, as padding and ReLU give exact zeros. */
function gridOf(tensor: string, statistics: TensorStatistics | undefined): Grid {
  const least = Math.min(statistics?.least ?? Number.NaN, 0);
  const most = Math.max(statistics?.most ?? Number.NaN, 0);
  if (!Number.isFinite(most - least)) throw new Error(`tensor '${tensor}': its range is not known or not finite`);
  if (most === least) return { scale: 1, zeroPoint: 0 };
  const scale = Math.fround((most - least) / 255);
  return { scale, zeroPoint: Math.min(Math.round(-least / scale), 255) };
}

/** The quantised graph as it grows. */
class Parts {
  readonly nodes: Node[] = [];
  readonly initializers: Map<string, Initializer>;
  readonly values: Map<string, ValueInfo>;
  readonly #graph: Graph;

  constructor(graph: Graph) {
    this.#graph = graph;
    this.initializers = new Map(graph.initializers);
    this.values = new Map(graph.values);
  }

  /** Puts integers in an initializer's place. @returns the name of the floats that they stand for */
  integers(name: string, type: 'int8' | 'int32', values: Int8Array | Int32Array, scales: Float32Array): string {
    const { length } = scales;
    this.#initializer(name, type, values, this.#graph.initializers.get(name)?.dims ?? []);
    const scale = this.#initializer(`${name}_scale`, 'float32', scales, [length]);
    const zeros = type === 'int8' ? new Int8Array(length) : new Int32Array(length);
    const zero = this.#initializer(`${name}_zero_point`, type, zeros, [length]);
    return this.#node('DequantizeLinear', [name, scale, zero], restoredName(name), 'float32', name, { axis: int(0) });
  }

  /** Rounds a tensor to a grid. */
  throughGrid(name: string, grid: Grid): void {
    const scale = this.#initializer(`${name}_scale`, 'float32', Float32Array.of(grid.scale), []);
    const zero = this.#initializer(`${name}_zero_point`, 'uint8', Uint8Array.of(grid.zeroPoint), []);
    const quantised = this.#node('QuantizeLinear', [name, scale, zero], `${name}_quantised`, 'uint8', name);
    this.#node('DequantizeLinear', [quantised, scale, zero], restoredName(name), 'float32', name);
  }

  #initializer(name: string, type: ElementType, values: ArrayBufferView, dims: readonly number[]): string {
    this.initializers.set(name, { name, type, dims, data: bytesOf(values) });
    return name;
  }

  #node(
    op: string,
    inputs: readonly string[],
    output: string,
    type: ElementType,
    like: string,
    attributes?: Node['attributes'],
  ): string {
    this.values.set(output, { name: output, type, dims: valueInfo(this.#graph, like).dims });
    this.nodes.push(nodeOf(op, inputs, output, attributes));
    return output;
  }
}
