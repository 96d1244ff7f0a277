import { float, type GraphBuilder, int, ints, tensor } from './graph.ts';
import { bytesOf, type Dimension } from './model.ts';

/** Gives a parameter its first values: float32, as many as `dims` hold. */
export type Initialise = (name: string, dims: readonly number[], kind: ParameterKind) => Float32Array;
/** What a parameter is of. */
export type ParameterKind = 'convolution' | 'linear' | 'ones' | 'zeros';

/** BatchNorm's constants, those of torchvision and Paddle. ONNX counts momentum the other way round from PyTorch (0.1). */
export const BATCH_NORM = { epsilon: 1e-5, momentum: 0.9 } as const;

/** The layers that a residual network is made of, each adding its parameters by name to the graph. */
export class Layers {
  readonly graph: GraphBuilder;
  readonly #initialise: Initialise;

  constructor(graph: GraphBuilder, initialise: Initialise) {
    this.graph = graph;
    this.#initialise = initialise;
  }

  #parameter(name: string, dims: readonly number[], kind: ParameterKind): string {
    return this.graph.initializer({ name, type: 'float32', dims, data: bytesOf(this.#initialise(name, dims, kind)) });
  }

  /** Shape [batch, channels, H, W] of a feature map. */
  #shape(input: string): [Dimension, number, number, number] {
    return this.graph.value(input).dims as [Dimension, number, number, number];
  }

  /** Square convolution without bias, padding (kernel - 1) / 2; parameter `<name>_weights` [out, in, k, k]. */
  convolution(input: string, name: string, channels: number, kernel: number, stride: number): string {
    const [batch, inChannels, height, width] = this.#shape(input);
    const weights = this.#parameter(`${name}_weights`, [channels, inChannels, kernel, kernel], 'convolution');
    const pad = (kernel - 1) / 2;
    const out = (length: number) => Math.floor((length + 2 * pad - kernel) / stride) + 1;
    return this.graph.add('Conv', [input, weights], tensor(name, 'float32', batch, channels, out(height), out(width)), {
      attributes: {
        dilations: ints(1, 1),
        group: int(1),
        kernel_shape: ints(kernel, kernel),
        pads: ints(pad, pad, pad, pad),
        strides: ints(stride, stride),
      },
    });
  }

  /** BatchNorm in inference form; parameters `<name>_scale`, `_offset`, `_mean`, `_variance`, each [channels]. */
  batchNorm(input: string, name: string): string {
    const channels = this.#shape(input)[1];
    const parameters = [
      this.#parameter(`${name}_scale`, [channels], 'ones'),
      this.#parameter(`${name}_offset`, [channels], 'zeros'),
      this.#parameter(`${name}_mean`, [channels], 'zeros'),
      this.#parameter(`${name}_variance`, [channels], 'ones'),
    ];
    return this.graph.add('BatchNormalization', [input, ...parameters], this.graph.like(name, input), {
      attributes: { epsilon: float(BATCH_NORM.epsilon), momentum: float(BATCH_NORM.momentum) },
    });
  }

  relu(input: string, name: string): string {
    return this.graph.add('Relu', [input], this.graph.like(name, input));
  }

  add(left: string, right: string, name: string): string {
    return this.graph.add('Add', [left, right], this.graph.like(name, left));
  }

  /** 3x3 max-pooling, stride 2; `pads` at the top, left, bottom and right, together 1 or 2 for each axis. */
  maxPool(input: string, name: string, pads: readonly [number, number, number, number]): string {
    const [batch, channels, height, width] = this.#shape(input);
    const [top, left, bottom, right] = pads;
    const out = (length: number, before: number, after: number) => Math.floor((length + before + after - 3) / 2) + 1;
    const size = [out(height, top, bottom), out(width, left, right)];
    return this.graph.add('MaxPool', [input], tensor(name, 'float32', batch, channels, ...size), {
      attributes: { kernel_shape: ints(3, 3), pads: ints(...pads), strides: ints(2, 2) },
    });
  }

  /** Mean over the map: [batch, channels, H, W] to [batch, channels]. */
  globalAveragePool(input: string, name: string, flatName: string): string {
    const [batch, channels] = this.#shape(input);
    const pooled = this.graph.add('GlobalAveragePool', [input], tensor(name, 'float32', batch, channels, 1, 1));
    return this.graph.add('Flatten', [pooled], tensor(flatName, 'float32', batch, channels), {
      attributes: { axis: int(1) },
    });
  }

  /** Leaves out a share of the elements, in training alone; which ones, `seed` decides. */
  dropout(input: string, name: string, share: number, seed: number): string {
    const ratio = this.graph.constant(`${name}_ratio`, Float32Array.of(share), []);
    return this.graph.add('Dropout', [input, ratio], this.graph.like(name, input), { attributes: { seed: int(seed) } });
  }

  /** Fully connected layer; parameters `<name>.w_0` [features, classes] and `<name>.b_0` [classes]. */
  linear(input: string, name: string, output: string, classes: number): string {
    const [batch, features] = this.graph.value(input).dims as [Dimension, number];
    const weights = this.#parameter(`${name}.w_0`, [features, classes], 'linear');
    const bias = this.#parameter(`${name}.b_0`, [classes], 'zeros');
    return this.graph.add('Gemm', [input, weights, bias], tensor(output, 'float32', batch, classes), {
      name,
      attributes: { alpha: float(1), beta: float(1), transA: int(0), transB: int(0) },
    });
  }
}
