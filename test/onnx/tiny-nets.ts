import { GraphBuilder, int, ints, tensor } from '../../onnx/graph.ts';
import { bytesOf, type Model } from '../../onnx/index.ts';
import { type Initialise, Layers } from '../../onnx/layers.ts';
import { OPSET } from '../../onnx/model.ts';
import { Random } from '../../src/random.ts';

/** Values like those of a trained network: no weight is zero, no statistic is neutral. */
export function trainedLike(seed: number): Initialise {
  return (name, dims, kind) => {
    const random = new Random(seed, name);
    const size = dims.reduce((product, length) => product * length, 1);
    const fanIn = kind === 'convolution' ? size / dims[0]! : dims[0]!;
    return Float32Array.from({ length: size }, () => {
      if (kind === 'ones') return 0.5 + random.uniform();
      if (kind === 'zeros') return 0.4 * random.normal();
      return random.normal() * Math.sqrt((kind === 'convolution' ? 2 : 1) / fanIn);
    });
  };
}

/** Shape of the tiny networks' input, float32 [batch, channels, height, width] by the name `pixels`. */
export interface TinyInput {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

/**
 * A model with a body of one's own between `pixels` and the head, which reads every place of the last map (or, with
 * `pool`, its means), so that no two gradients are the same.
 */
export function tinyNet(
  body: (layers: Layers, pixels: string) => string,
  { channels = 2, height = 6, width = 5 }: Partial<TinyInput> = {},
  head: 'flat' | 'pool' = 'flat',
): Model {
  const graph = new GraphBuilder('tiny');
  const layers = new Layers(graph, trainedLike(7));
  const map = body(layers, graph.input(tensor('pixels', 'float32', 'batch', channels, height, width)));
  const features = head === 'pool' ? layers.globalAveragePool(map, 'pooled', 'features') : flat(graph, map);
  graph.output(layers.linear(features, 'fc_0', 'logits', 3));
  return { graph: graph.build(), opsets: new Map([['', OPSET]]), metadata: new Map() };
}

function flat(graph: GraphBuilder, map: string): string {
  const [batch, ...rest] = graph.value(map).dims;
  const size = (rest as number[]).reduce((product, length) => product * length, 1);
  return graph.add('Flatten', [map], tensor('features', 'float32', batch!, size), { attributes: { axis: int(1) } });
}

/** A convolution whose every attribute is out of the ordinary: kernel 3x2, uneven pads, strides and dilations. */
export function oddConvolution(layers: Layers, input: string, name: string, channels: number): string {
  const { graph } = layers;
  const [batch, inChannels, height, width] = graph.value(input).dims as [string, number, number, number];
  const dims = [channels, inChannels, 3, 2];
  const data = bytesOf(trainedLike(3)(name, dims, 'convolution'));
  const weights = graph.initializer({ name: `${name}_weights`, type: 'float32', dims, data });
  const [outHeight, outWidth] = [Math.floor((height + 1 - 3) / 2) + 1, width + 2 - 3 + 1];
  return graph.add('Conv', [input, weights], tensor(name, 'float32', batch, channels, outHeight, outWidth), {
    attributes: {
      dilations: ints(1, 2),
      group: int(1),
      kernel_shape: ints(3, 2),
      pads: ints(1, 0, 0, 2),
      strides: ints(2, 1),
    },
  });
}

/** A residual block with every kind of fan-out: the input feeds two convolutions, the sum feeds three readers. */
export function residualBlock(layers: Layers, input: string): string {
  const stem = layers.relu(layers.batchNorm(layers.convolution(input, 'stem', 3, 3, 1), 'bn_stem'), 'stem_relu');
  let map = layers.relu(layers.batchNorm(layers.convolution(stem, 'a', 2, 1, 1), 'bn_a'), 'a_relu');
  map = layers.relu(layers.batchNorm(layers.convolution(map, 'b', 2, 3, 2), 'bn_b'), 'b_relu');
  map = layers.batchNorm(layers.convolution(map, 'c', 4, 1, 1), 'bn_c');
  const shortcut = layers.batchNorm(layers.convolution(stem, 'd', 4, 1, 2), 'bn_d');
  const first = layers.relu(layers.add(map, shortcut, 'first'), 'first_relu');
  const left = layers.convolution(first, 'left', 4, 1, 1);
  const right = layers.convolution(first, 'right', 4, 3, 1);
  return layers.relu(layers.add(layers.add(left, right, 'sides'), first, 'second'), 'second_relu');
}

/** Two blocks of the kind in ResNet18: two 3x3 convolutions each, the shortcut a plain wire, then a projection. */
export function basicBlocks(layers: Layers, input: string): string {
  const branch = (from: string, name: string, channels: number, kernel: number, stride: number) =>
    layers.batchNorm(layers.convolution(from, name, channels, kernel, stride), `bn_${name}`);
  const stem = layers.maxPool(layers.relu(branch(input, 'stem', 6, 7, 1), 'stem_relu'), 'pool', [1, 1, 1, 1]);
  const inner = branch(layers.relu(branch(stem, 'a1', 6, 3, 1), 'a1_relu'), 'a2', 6, 3, 1);
  const first = layers.relu(layers.add(inner, stem, 'a'), 'a_relu');
  const outer = branch(layers.relu(branch(first, 'b1', 8, 3, 2), 'b1_relu'), 'b2', 8, 3, 1);
  return layers.relu(layers.add(outer, branch(first, 'b3', 8, 1, 2), 'b'), 'b_relu');
}
