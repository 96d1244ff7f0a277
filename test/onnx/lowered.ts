import { GraphBuilder, int, ints, tensor } from '../../onnx/graph.ts';
import { type Graph, type Node, ORTUNE } from '../../onnx/index.ts';

const MICROSOFT = { domain: 'com.microsoft' };
const [TO_LAST, TO_FIRST] = [
  [0, 2, 3, 1],
  [0, 3, 1, 2],
];

/**
 * A training graph with ONNX Runtime's operators, and Transposes about them, in place of the addon's on channels-last maps:
 * what those are to compute, and a way to run such a graph where there are none.
 */
export function lowered(graph: Graph): Graph {
  const lowering = new Lowering(graph);
  for (const node of graph.nodes) lowering.add(node);
  return lowering.finish();
}

class Lowering {
  readonly #builder: GraphBuilder;
  readonly #graph: Graph;
  readonly #makers: ReadonlyMap<string, Node>;
  readonly #convolutions: ReadonlyMap<string, Node>;

  constructor(graph: Graph) {
    this.#graph = graph;
    this.#builder = new GraphBuilder(graph.name);
    this.#makers = new Map(graph.nodes.flatMap((node) => node.outputs.map((output) => [output, node])));
    const convolutions = graph.nodes.filter(({ op }) => op === 'Convolution');
    this.#convolutions = new Map(convolutions.map((node) => [node.inputs[1]!, node]));
    for (const input of graph.inputs) this.#builder.input(input);
    for (const initializer of graph.initializers.values()) this.#builder.initializer(initializer);
    for (const value of [...graph.values.values(), ...graph.outputs]) this.#builder.declare(value);
  }

  add(node: Node): void {
    if (node.domain !== ORTUNE) {
      this.#builder.copy(node);
      return;
    }
    const [x = '', y = '', ...more] = node.inputs;
    const [output = ''] = node.outputs;
    const [third = '', fourth = ''] = more;
    switch (node.op) {
      case 'Convolution':
        this.#last(this.#make('Conv', [this.#first(x), y], output, this.#window(node, y)), output);
        break;
      case 'ConvolutionInputGradient':
        this.#inputGradient(node, x, y, third, output);
        break;
      case 'ConvolutionWeightGradient': {
        const weights = third.replace('_grad.accumulation.buffer', '');
        const gradient = tensor(`${output}_gradient`, 'float32', ...(this.#builder.value(weights).dims as number[]));
        const [scale, offset, mean, inverse] = more.slice(2) as [string?, string?, string?, string?];
        const input = this.#first(x);
        const remade = mean === undefined ? input : this.#activated(output, input, scale!, offset!, mean, inverse!);
        const inputs = [this.#first(y), remade, weights];
        const options = { ...MICROSOFT, attributes: this.#window(node, weights) };
        this.#builder.addNode('ConvGrad', inputs, [undefined, gradient], options);
        this.#builder.add('InPlaceAccumulatorV2', [third, gradient.name, fourth], tensor(output, 'bool', 1), MICROSOFT);
        break;
      }
      case 'BatchNorm':
        this.#batchNorm(node);
        break;
      case 'BatchNormGradient':
        this.#batchNormGradient(node);
        break;
      case 'MaxPool': {
        const like = this.#firstDims(output);
        const places = tensor(`${output}_indices`, 'int64', ...like);
        const { kernel_shape, strides, pads } = node.attributes;
        const attributes = { kernel_shape: kernel_shape!, strides: strides!, pads: pads! };
        const pooled = tensor(`${output}_pooled`, 'float32', ...like);
        this.#builder.addNode('MaxPool', [this.#first(x)], [pooled, places], { attributes });
        this.#last(pooled.name, output);
        break;
      }
      case 'MaxPoolGradient': {
        const forward = this.#makers.get(y)!;
        const flat = this.#builder.constant('flat', BigInt64Array.of(-1n));
        const reshape = (from: string, name: string, type: 'float32' | 'int64') =>
          this.#builder.add('Reshape', [from, flat], tensor(`${output}_${name}`, type, `${output}_${name}`));
        const input = this.#first(forward.inputs[0]!);
        const size = this.#builder.add('Size', [input], tensor(`${output}_size`, 'int64'));
        const length = this.#builder.add('Reshape', [size, flat], tensor(`${output}_length`, 'int64', 1));
        const gradient = reshape(this.#first(x), 'values', 'float32');
        const places = reshape(`${forward.outputs[0]}_indices`, 'places', 'int64');
        const scattered = tensor(`${output}_scattered`, 'float32', `${output}_all`);
        const options = { ...MICROSOFT, attributes: { axis: int(0) } };
        this.#builder.add('GatherElementsGrad', [gradient, length, places], scattered, options);
        const shape = this.#builder.add('Shape', [input], tensor(`${output}_shape`, 'int64', 4));
        this.#last(this.#make('Reshape', [scattered.name, shape], output), output);
        break;
      }
      case 'GlobalAveragePool':
        this.#builder.add('GlobalAveragePool', [this.#first(x)], this.#builder.value(output));
        break;
      case 'GlobalAveragePoolGradient': {
        const [, height, width] = this.#builder.value(output).dims as [unknown, number, number];
        const count = this.#builder.constant(`${output}_count`, Float32Array.of(height * width));
        const share = this.#builder.add('Div', [x, count], this.#builder.like(`${output}_share`, x));
        const map = this.#builder.constant(`${output}_map`, BigInt64Array.of(1n, 1n, BigInt(height), BigInt(width)));
        this.#last(this.#make('Expand', [share, map], output), output);
        break;
      }
      default:
        throw new Error(`no stock form of ${node.op}`);
    }
  }

  finish(): Graph {
    for (const { name } of this.#graph.outputs) this.#builder.output(name);
    return this.#builder.build();
  }

  /** The dimensions of a channels-last map in ONNX's order. */
  #firstDims(map: string) {
    const { dims } = this.#builder.value(map);
    return TO_FIRST!.map((axis) => dims[axis]!);
  }

  #first(map: string): string {
    const name = `${map}_first`;
    if (this.#builder.has(name)) return name;
    const attributes = { perm: ints(...TO_FIRST!) };
    return this.#builder.add('Transpose', [map], tensor(name, 'float32', ...this.#firstDims(map)), { attributes });
  }

  /** Makes a tensor of the graph, which is channels-last, from a map that is not. */
  #last(from: string, output: string): void {
    this.#builder.add('Transpose', [from], this.#builder.value(output), { attributes: { perm: ints(...TO_LAST!) } });
  }

  /** A node that gives the map `output` in ONNX's order. */
  #make(op: string, inputs: readonly string[], output: string, attributes: Node['attributes'] = {}, domain = '') {
    const value = tensor(`${output}_${op}`, 'float32', ...this.#firstDims(output));
    return this.#builder.add(op, inputs, value, { attributes, domain });
  }

  #window({ attributes }: Node, weights: string): Node['attributes'] {
    const [, , height, width] = this.#builder.value(weights).dims as [number, number, number, number];
    const { strides, pads } = attributes;
    return {
      strides: strides!,
      pads: pads!,
      dilations: ints(1, 1),
      group: int(1),
      kernel_shape: ints(height, width),
    };
  }

  #inputGradient(node: Node, gradient: string, weights: string, addend: string, output: string): void {
    const inputs = [this.#first(gradient), this.#first(this.#convolutions.get(weights)!.inputs[0]!), weights];
    const made = this.#make('ConvGrad', inputs, output, this.#window(node, weights), MICROSOFT.domain);
    this.#last(addend === '' ? made : this.#make('Add', [made, this.#first(addend)], output), output);
  }

  #batchNorm({ inputs, outputs, attributes }: Node): void {
    const [x, scale, offset, mean, variance, residual] = inputs as [string, string, string, string, string, string?];
    const [output, savedMean, savedInverse] = outputs as [string, string, string];
    const { live, relu, epsilon, momentum } = attributes;
    const builder = this.#builder;
    const like = (tensor: string) => builder.like(`${output}_${tensor}`, mean);
    let map = tensor(`${output}_normalised`, 'float32', ...this.#firstDims(output)).name;
    const normalised = tensor(map, 'float32', ...this.#firstDims(output));
    const given = [this.#first(x), scale, offset, mean, variance];
    if (live!.value === 1) {
      const made = [normalised, like('moved_mean'), like('moved_variance'), savedMean, savedInverse];
      builder.addNode(
        'BatchNormInternal',
        given,
        made.map((one) => (typeof one === 'string' ? builder.value(one) : one)),
        { ...MICROSOFT, attributes: { epsilon: epsilon!, momentum: momentum!, training_mode: int(1) } },
      );
    } else {
      builder.addNode('BatchNormalization', given, [normalised], { attributes: { epsilon: epsilon! } });
      builder.add('Identity', [mean], builder.value(savedMean));
      const least = builder.constant(`${output}_epsilon`, Float32Array.of(epsilon!.value as number));
      const shifted = builder.add('Add', [variance, least], like('shifted'));
      builder.add('Reciprocal', [builder.add('Sqrt', [shifted], like('deviation'))], builder.value(savedInverse));
    }
    if (residual !== undefined) map = this.#make('Add', [map, this.#first(residual)], output);
    if (relu!.value === 1) map = this.#make('Relu', [map], output);
    this.#last(map, output);
  }

  /** A vector of the channels, for maps in ONNX's order. */
  #channel(vector: string): string {
    const name = `${vector}_of_channels`;
    if (this.#builder.has(name)) return name;
    const axes = this.#builder.constant('map_axes', BigInt64Array.of(1n, 2n));
    const [length] = this.#builder.value(vector).dims as [number];
    return this.#builder.add('Unsqueeze', [vector, axes], tensor(name, 'float32', length, 1, 1));
  }

  /** Relu of a BatchNorm whose statistics are known. */
  #activated(name: string, map: string, scale: string, offset: string, mean: string, inverse: string): string {
    const add = (op: string, other: string[], from: string, part: string) =>
      this.#builder.add(op, [from, ...other], this.#builder.like(`${name}_${part}`, map));
    const normalised = add('Mul', [this.#channel(inverse)], add('Sub', [this.#channel(mean)], map, 'above'), 'unit');
    const moved = add(
      'Add',
      [this.#channel(offset)],
      add('Mul', [this.#channel(scale)], normalised, 'scaled'),
      'moved',
    );
    return add('Relu', [], moved, 'activated');
  }

  #batchNormGradient({ name, inputs, outputs, attributes }: Node): void {
    const [gradient, x, scale, offset, mean, inverse] = inputs as [string, string, string, string, string, string];
    const y = inputs[6];
    const [dx = '', dscale = '', doffset = '', dresidual = ''] = outputs;
    const builder = this.#builder;
    const dims = this.#firstDims(x);
    const map = (op: string, from: readonly string[], part: string, domain = '') =>
      builder.add(op, from, tensor(`${name}_${part}`, 'float32', ...dims), { domain });
    const channel = (vector: string) => this.#channel(vector);
    let masked = this.#first(gradient);
    if (attributes['relu']!.value === 1) {
      const output = y
        ? this.#first(y)
        : this.#activated(`${name}_again`, this.#first(x), scale, offset, mean, inverse);
      masked = map('ReluGrad', [masked, output], 'masked', MICROSOFT.domain);
    }
    if (dresidual !== '') this.#last(masked, dresidual);
    if (attributes['live']!.value === 1) {
      const unused = (output: string, part: string) =>
        output === '' ? builder.like(`${name}_unused_${part}`, scale) : builder.value(output);
      const turned = tensor(`${name}_turned`, 'float32', ...dims);
      builder.addNode(
        'BatchNormalizationGrad',
        [masked, this.#first(x), scale, mean, inverse],
        [turned, unused(dscale, 'scale'), unused(doffset, 'offset')],
        { ...MICROSOFT, attributes: { epsilon: { kind: 'float', value: 1e-5 } } },
      );
      if (dx !== '') this.#last(turned.name, dx);
      return;
    }
    const summed = (from: string, output: string) => {
      const axes = builder.constant('other_axes', BigInt64Array.of(0n, 2n, 3n));
      builder.add('ReduceSum', [from, axes], builder.value(output), { attributes: { keepdims: int(0) } });
    };
    if (dx !== '') {
      const factor = map('Mul', [map('Mul', [masked, channel(scale)], 'scaled'), channel(inverse)], 'factor');
      this.#last(factor, dx);
    }
    if (doffset !== '') summed(masked, doffset);
    if (dscale !== '') {
      const centred = map('Sub', [this.#first(x), channel(mean)], 'centred');
      const normalised = map('Mul', [centred, channel(inverse)], 'normalised');
      summed(map('Mul', [normalised, masked], 'product'), dscale);
    }
  }
}
