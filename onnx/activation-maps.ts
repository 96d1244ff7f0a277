import { int, ints, nodeOf, tensor, valueInfo } from './graph.ts';
import { bytesOf, type Dimension, type Initializer, type Model } from './model.ts';
import { HEAD_PARAMETERS } from './resnet.ts';

/**
 * Output of the served model: float32 [batch, classes, h, w], for each class how much each place of the last feature map
 * speaks for it.
 */
export const ACTIVATION_MAPS = 'activation_maps';

/**
 * Adds the class-activation maps (Zhou et al., "Learning deep features for discriminative localization", CVPR 2016) as an
 * output: the head's weights over the last feature map, the bias left out. The head is linear and the pooling a mean, so
 * a class's map has the mean `logit - bias`.
 *
 * The weights stay the one initializer, turned into a 1x1 convolution's by nodes, which runtimes compute once.
 *
 * @throws Error when the model is not one of `buildResNet` with its head
 */
export function withActivationMaps(model: Model): Model {
  const { graph } = model;
  const [weights] = HEAD_PARAMETERS;
  const pooling = graph.nodes.findLast(({ op }) => op === 'GlobalAveragePool');
  const head = graph.initializers.get(weights);
  if (!pooling || !head) throw new Error(`graph '${graph.name}' has no pooled features with a head '${weights}'`);
  const map = pooling.inputs[0] as string;
  const [batch, , height, width] = valueInfo(graph, map).dims as [Dimension, number, number, number];
  const [features, classes] = head.dims as [number, number];

  const maps = tensor(ACTIVATION_MAPS, 'float32', batch, classes, height, width);
  const rows = tensor('activation_rows', 'float32', classes, features);
  const kernels = tensor('activation_kernels', 'float32', classes, features, 1, 1);
  const axes: Initializer = {
    name: 'activation_axes',
    type: 'int64',
    dims: [2],
    data: bytesOf(BigInt64Array.of(2n, 3n)),
  };
  const nodes = [
    nodeOf('Transpose', [weights], rows.name, { perm: ints(1, 0) }),
    nodeOf('Unsqueeze', [rows.name, axes.name], kernels.name),
    nodeOf('Conv', [map, kernels.name], maps.name, {
      dilations: ints(1, 1),
      group: int(1),
      kernel_shape: ints(1, 1),
      pads: ints(0, 0, 0, 0),
      strides: ints(1, 1),
    }),
  ];
  return {
    ...model,
    graph: {
      ...graph,
      nodes: [...graph.nodes, ...nodes],
      outputs: [...graph.outputs, maps],
      initializers: new Map([...graph.initializers, [axes.name, axes]]),
      values: new Map([...graph.values, ...[rows, kernels].map((value) => [value.name, value] as const)]),
    },
  };
}
