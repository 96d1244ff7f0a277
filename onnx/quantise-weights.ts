import { floatsOf, type Initializer } from './model.ts';

/**
 * Weights go from -64 to 64. With the whole range of int8, processors without VNNI (many x64 ones) sum two products into
 * 16 bits, which saturate: the answers would be wrong there and right elsewhere. 2 x 255 x 64 fits.
 */
export const LARGEST_WEIGHT = 64;
/** Biases keep clear of int32's end, where what is summed with them would overflow. */
const LARGEST_BIAS = 2 ** 30;

export interface LayerInput {
  readonly scale: number;
  /** Of each input channel, [in]. */
  readonly means: Float64Array;
}

export interface QuantisedLayer {
  readonly weights: Int8Array;
  /** Of each output channel's weights, [out]. */
  readonly scales: Float32Array;
  /** In units of the input's scale times the channel's, [out]. */
  readonly biases: Int32Array;
  /** These units, [out]. */
  readonly biasScales: Float32Array;
}

/**
 * A convolution's weights and biases as integers, each output channel on a grid of its own. What rounding the weights adds
 * to a channel's mean, for the input's means, is taken off its bias (Nagel et al., "Data-free quantization through weight
 * equalization and bias correction", ICCV 2019); the map's border is counted as the rest.
 *
 * @param weights float32 [out, in, kh, kw]
 * @param bias float32 [out]
 */
export function quantiseLayer(weights: Initializer, bias: Initializer, input: LayerInput): QuantisedLayer {
  const values = floatsOf(weights);
  const [channels, inputs] = weights.dims as [number, number];
  const length = values.length / channels;
  const places = length / inputs;
  const integers = new Int8Array(values.length);
  const scales = new Float32Array(channels);
  const biasScales = new Float32Array(channels);
  const biases = new Int32Array(channels);
  for (const [channel, offset] of floatsOf(bias).entries()) {
    const from = channel * length;
    let largest = 0;
    for (let at = from; at < from + length; at++) largest = Math.max(largest, Math.abs(values[at]!));
    // A channel of weights near zero would leave its bias no room.
    const least = Math.abs(offset) / input.scale / LARGEST_BIAS;
    const scale = Math.fround(Math.max(largest / LARGEST_WEIGHT, least)) || 1;
    let shift = 0;
    for (let at = from; at < from + length; at++) {
      const integer = Math.max(-LARGEST_WEIGHT, Math.min(LARGEST_WEIGHT, Math.round(values[at]! / scale)));
      integers[at] = integer;
      shift += (integer * scale - values[at]!) * input.means[Math.floor((at - from) / places)]!;
    }
    scales[channel] = scale;
    biasScales[channel] = scale * input.scale;
    biases[channel] = Math.round((offset - shift) / biasScales[channel]!);
  }
  return { weights: integers, scales, biases, biasScales };
}
