import { type GraphBuilder, int, ints, tensor } from './graph.ts';

/**
 * How pixels become the network's input: the order of the colour planes, then minus `mean`, then divided by
 * `deviation`, all in the scale 0 to 255.
 */
export interface InputNormalisation {
  readonly order: 'RGB' | 'BGR';
  readonly mean: readonly [number, number, number];
  readonly deviation?: readonly [number, number, number];
}

const unitScale = (...values: [number, number, number]) =>
  values.map((value) => value * 255) as [number, number, number];

/** The normalisations that pretrained weights come with. */
export const INPUT_NORMALISATIONS = {
  /** torchvision, timm: RGB / 255, then the mean and deviation of ImageNet. */
  imagenet: { order: 'RGB', mean: unitScale(0.485, 0.456, 0.406), deviation: unitScale(0.229, 0.224, 0.225) },
  /** Caffe's models. */
  caffe: { order: 'BGR', mean: [104, 117, 123] },
  /** The PaddlePaddle tutorial's reader. */
  tutorial: { order: 'BGR', mean: [103.94, 116.78, 123.68] },
} as const satisfies Record<string, InputNormalisation>;

export type InputNormalisationName = keyof typeof INPUT_NORMALISATIONS;

/** Name of the tensor that the normalisation gives: float32 [batch, 3, H, W], what the first convolution reads. */
export const PIXELS = 'pixels';

/**
 * Adds the nodes from `image` (uint8 [batch, H, W, 3], RGB) to {@link PIXELS}. Being part of the graph, training,
 * evaluation and serving cannot disagree about them, and a GPU is sent a quarter of the bytes.
 */
export function addNormalisation(graph: GraphBuilder, image: string, normalisation: InputNormalisation): string {
  const [batch, height, width] = graph.value(image).dims as [number | string, number, number];
  const { order, mean, deviation } = normalisation;
  let planes = image;
  if (order === 'BGR') {
    const reversed = graph.constant('input_channels', BigInt64Array.of(2n, 1n, 0n));
    planes = graph.add('Gather', [planes, reversed], graph.like('input_reversed', image), {
      attributes: { axis: int(3) },
    });
  }
  planes = graph.add('Transpose', [planes], tensor('input_planes', 'uint8', batch, 3, height, width), {
    attributes: { perm: ints(0, 3, 1, 2) },
  });
  planes = graph.add('Cast', [planes], tensor('input_float', 'float32', batch, 3, height, width), {
    attributes: { to: int(1) },
  });
  const centred = deviation ? 'input_centred' : PIXELS;
  const means = graph.constant('input_mean', Float32Array.from(mean), [1, 3, 1, 1]);
  planes = graph.add('Sub', [planes, means], graph.like(centred, planes));
  if (deviation) {
    const deviations = graph.constant('input_deviation', Float32Array.from(deviation), [1, 3, 1, 1]);
    planes = graph.add('Div', [planes, deviations], graph.like(PIXELS, planes));
  }
  return planes;
}
