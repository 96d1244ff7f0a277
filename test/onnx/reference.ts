import {
  type BatchNormMode,
  floatsOf,
  type LossOptions,
  type Model,
  type Node,
  type TrainingPlan,
} from '../../onnx/index.ts';

/** A tensor in double precision, row-major. */
export interface Numbers {
  readonly dims: readonly number[];
  readonly data: Float64Array;
}

type Map4 = readonly [number, number, number, number];

/**
 * The loss of a model, computed from its graph in double precision by the operators' definitions in the ONNX
 * specification, so that differences of it are exact to nine digits where those of the runtime's float32 have three.
 *
 * @param values inputs and, where they differ from the model's own, parameters by name
 * @param batchNorm `live`: with the batch's mean and biased variance
 */
export function referenceLoss(
  model: Model,
  values: ReadonlyMap<string, Numbers>,
  labels: readonly number[],
  { batchNorm, loss }: Pick<TrainingPlan, 'batchNorm' | 'loss'>,
): number {
  const known = new Map(values);
  for (const [name, tensor] of model.graph.initializers) {
    if (!known.has(name) && tensor.type === 'float32')
      known.set(name, { dims: tensor.dims, data: Float64Array.from(floatsOf(tensor)) });
  }
  for (const node of model.graph.nodes) {
    const names = node.op === 'Dropout' ? [...node.inputs, `${node.outputs[0]}_mask`] : node.inputs;
    const inputs = names.map((name) => known.get(name)!);
    known.set(node.outputs[0]!, evaluate(node, inputs, batchNorm));
  }
  return crossEntropy(known.get('logits')!, labels, loss);
}

function evaluate(node: Node, inputs: readonly Numbers[], batchNorm: TrainingPlan['batchNorm']): Numbers {
  const [x, y] = inputs as [Numbers, Numbers];
  switch (node.op) {
    case 'Conv':
      return convolution(x, y, node);
    case 'BatchNormalization':
      return normalise(
        inputs,
        numberOf(node, 'epsilon'),
        typeof batchNorm === 'function' ? batchNorm(node.name) : batchNorm,
      );
    case 'Relu':
      return { dims: x.dims, data: x.data.map((value) => Math.max(value, 0)) };
    case 'Add':
      return { dims: x.dims, data: x.data.map((value, index) => value + y.data[index]!) };
    case 'MaxPool':
      return maxPool(x, node);
    case 'GlobalAveragePool': {
      const [n, c, h, w] = x.dims as Map4;
      const means = Float64Array.from({ length: n * c }, (_, map) => {
        return x.data.subarray(map * h * w, (map + 1) * h * w).reduce((sum, value) => sum + value, 0) / (h * w);
      });
      return { dims: [n, c, 1, 1], data: means };
    }
    case 'Dropout': {
      // By the mask of one step, fed as a tensor of its own.
      const [ratio, mask] = [y.data[0]!, inputs[2]!];
      return { dims: x.dims, data: x.data.map((value, index) => (value * mask.data[index]!) / (1 - ratio)) };
    }
    case 'Flatten':
      return { dims: [x.dims[0]!, x.data.length / x.dims[0]!], data: x.data };
    case 'Gemm':
      return linear(x, y, inputs[2]!);
    default:
      throw new Error(`the reference knows no operator ${node.op}`);
  }
}

const numberOf = (node: Node, name: string) => node.attributes[name]!.value as number;
const numbersOf = (node: Node, name: string) => node.attributes[name]!.value as number[];

/** Window positions along one axis: start, and number of outputs. */
function axis(node: Node, which: 0 | 1, length: number, dilation: number) {
  const kernel = numbersOf(node, 'kernel_shape')[which]!;
  const stride = numbersOf(node, 'strides')[which]!;
  const pads = numbersOf(node, 'pads');
  const begin = pads[which]!;
  const reach = (kernel - 1) * dilation + 1;
  return { kernel, stride, begin, dilation, out: Math.floor((length + begin + pads[which + 2]! - reach) / stride) + 1 };
}

/** Which places of the input map each output place reads: `outputs[i]` reads `places[i]` through the window's `taps[i]`. */
function windows(node: Node, h: number, w: number) {
  const dilations = node.attributes['dilations'] ? numbersOf(node, 'dilations') : [1, 1];
  const rows = axis(node, 0, h, dilations[0]!);
  const columns = axis(node, 1, w, dilations[1]!);
  const [outputs, places, taps]: [number[], number[], number[]] = [[], [], []];
  for (let output = 0; output < rows.out * columns.out; output++) {
    for (let tap = 0; tap < rows.kernel * columns.kernel; tap++) {
      const y =
        Math.floor(output / columns.out) * rows.stride - rows.begin + Math.floor(tap / columns.kernel) * rows.dilation;
      const x = (output % columns.out) * columns.stride - columns.begin + (tap % columns.kernel) * columns.dilation;
      if (y < 0 || y >= h || x < 0 || x >= w) continue;
      outputs.push(output);
      places.push(y * w + x);
      taps.push(tap);
    }
  }
  return { outHeight: rows.out, outWidth: columns.out, outputs, places, taps };
}

function convolution(input: Numbers, weights: Numbers, node: Node): Numbers {
  const [n, c, h, w] = input.dims as Map4;
  const [outChannels, , kernelHeight, kernelWidth] = weights.dims as Map4;
  const { outHeight, outWidth, outputs, places, taps } = windows(node, h, w);
  const data = new Float64Array(n * outChannels * outHeight * outWidth);
  for (let map = 0; map < n * outChannels; map++) {
    const to = map * outHeight * outWidth;
    for (let channel = 0; channel < c; channel++) {
      const from = (Math.floor(map / outChannels) * c + channel) * h * w;
      const kernel = ((map % outChannels) * c + channel) * kernelHeight * kernelWidth;
      for (let i = 0; i < outputs.length; i++) {
        data[to + outputs[i]!]! += input.data[from + places[i]!]! * weights.data[kernel + taps[i]!]!;
      }
    }
  }
  return { dims: [n, outChannels, outHeight, outWidth], data };
}

function maxPool(input: Numbers, node: Node): Numbers {
  const [n, c, h, w] = input.dims as Map4;
  const { outHeight, outWidth, outputs, places } = windows(node, h, w);
  const data = new Float64Array(n * c * outHeight * outWidth).fill(-Infinity);
  for (let map = 0; map < n * c; map++) {
    for (const [i, output] of outputs.entries()) {
      const to = map * outHeight * outWidth + output;
      data[to] = Math.max(data[to]!, input.data[map * h * w + places[i]!]!);
    }
  }
  return { dims: [n, c, outHeight, outWidth], data };
}

function normalise(inputs: readonly Numbers[], epsilon: number, batchNorm: BatchNormMode): Numbers {
  const [x, scale, offset, mean, variance] = inputs as [Numbers, Numbers, Numbers, Numbers, Numbers];
  const [n, c, h, w] = x.dims as Map4;
  const data = new Float64Array(x.data.length);
  for (let channel = 0; channel < c; channel++) {
    const places = Array.from({ length: n * h * w }, (_, index) => {
      return (Math.floor(index / (h * w)) * c + channel) * h * w + (index % (h * w));
    });
    const average = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
    const live = batchNorm === 'live';
    const centre = live ? average(places.map((place) => x.data[place]!)) : mean.data[channel]!;
    const spread = live ? average(places.map((place) => (x.data[place]! - centre) ** 2)) : variance.data[channel]!;
    const factor = scale.data[channel]! / Math.sqrt(spread + epsilon);
    for (const place of places) data[place] = (x.data[place]! - centre) * factor + offset.data[channel]!;
  }
  return { dims: x.dims, data };
}

function linear(x: Numbers, weights: Numbers, bias: Numbers): Numbers {
  const [n, features] = x.dims as [number, number];
  const classes = bias.data.length;
  const data = Float64Array.from({ length: n * classes }, (_, index) => {
    const [row, column] = [Math.floor(index / classes), index % classes];
    let sum = bias.data[column]!;
    for (let k = 0; k < features; k++) sum += x.data[row * features + k]! * weights.data[k * classes + column]!;
    return sum;
  });
  return { dims: [n, classes], data };
}

/** By the definition in PyTorch's documentation of `cross_entropy`: with class numbers the mean is by the labels' weights. */
function crossEntropy(
  logits: Numbers,
  labels: readonly number[],
  { labelSmoothing = 0, classWeights }: LossOptions = {},
): number {
  const classes = logits.dims[1]!;
  const weightOf = (label: number) => classWeights?.[label] ?? 1;
  const losses = labels.map((label, row) => {
    const scores = logits.data.subarray(row * classes, (row + 1) * classes);
    const top = Math.max(...scores);
    const total = top + Math.log(scores.reduce((sum, score) => sum + Math.exp(score - top), 0));
    const terms = Array.from(scores, (score, index) => {
      const target = (index === label ? 1 - labelSmoothing : 0) + labelSmoothing / classes;
      return target * weightOf(index) * (total - score);
    });
    return terms.reduce((sum, term) => sum + term, 0);
  });
  const weight = labels.reduce((sum, label) => sum + weightOf(label), 0);
  return losses.reduce((sum, loss) => sum + loss, 0) / weight;
}
