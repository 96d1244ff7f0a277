import { type GraphMessage, type NodeMessage, toNumber } from '../../onnx/proto.ts';
import type { BatchNormDescription } from './types.ts';

/** Operators with parameters, ortune's own among them, and which of their inputs those are; the first is data. */
const PARAMETER_INPUTS: Readonly<Record<string, readonly number[]>> = {
  BatchNorm: [1, 2, 3, 4],
  BatchNormInternal: [1, 2, 3, 4],
  BatchNormalization: [1, 2, 3, 4],
  Conv: [1, 2],
  ConvTranspose: [1, 2],
  Convolution: [1],
  FusedConv: [1, 2],
  FusedGemm: [1, 2],
  FusedMatMul: [1],
  GRU: [1, 2, 3],
  Gemm: [1, 2],
  InstanceNormalization: [1, 2],
  LSTM: [1, 2, 3],
  LayerNormalization: [1, 2],
  MatMul: [1],
  PRelu: [1],
  RNN: [1, 2, 3],
};

const BATCH_NORMS: ReadonlySet<string> = new Set(['BatchNorm', 'BatchNormInternal', 'BatchNormalization']);

/** Every node of a graph and of the graphs in its nodes. */
export function* allNodes(graph: GraphMessage): Generator<NodeMessage> {
  for (const node of graph.node ?? []) {
    yield node;
    for (const attribute of node.attribute ?? []) if (attribute.g) yield* allNodes(attribute.g);
  }
}

/**
 * Names that operators read as their parameters. A name that is data elsewhere is none: in a linear layer's gradient
 * the layer's input stands where a weight would.
 */
export function parameterNames(graph: GraphMessage): Set<string> {
  const names = new Set<string>();
  const data = new Set<string>();
  const nodes = [...allNodes(graph)];
  // Weights that are stored in another type are turned into floats where they are read.
  const casts = new Map(
    nodes
      .filter(({ opType }) => opType === 'Cast' || opType === 'DequantizeLinear')
      .map(({ input, output }) => [output?.[0], input?.[0]]),
  );
  for (const { opType, input = [] } of nodes) {
    const places = PARAMETER_INPUTS[opType ?? ''];
    if (!places) continue;
    data.add(input[0] ?? '');
    for (const place of places) if (input[place]) names.add(casts.get(input[place]) ?? input[place]);
  }
  for (const name of data) names.delete(name);
  return names;
}

/** Names of running means and variances, of all BatchNorms or of those that move them. */
export function statisticNames(graph: GraphMessage, which: 'all' | 'moved'): Set<string> {
  const nodes = [...allNodes(graph)].filter(isBatchNorm);
  return new Set(
    nodes
      .filter((node) => which === 'all' || batchNormMode(node) === 'live')
      .flatMap(({ input = [] }) => input.slice(3, 5)),
  );
}

export function batchNorms(graph: GraphMessage): BatchNormDescription[] {
  return [...allNodes(graph)]
    .filter(isBatchNorm)
    .map((node) => ({ name: node.name || (node.output?.[0] ?? ''), mode: batchNormMode(node) }));
}

const isBatchNorm = ({ opType }: NodeMessage) => BATCH_NORMS.has(opType ?? '');

function batchNormMode({ opType, attribute = [] }: NodeMessage): BatchNormDescription['mode'] {
  // ortune's own operator has its own name for it.
  const mode = attribute.find(({ name }) => name === (opType === 'BatchNorm' ? 'live' : 'training_mode'));
  // The defaults of the two operators' schemas.
  const training = mode ? toNumber(mode.i) : opType === 'BatchNormInternal' ? 1 : 0;
  return training === 0 ? 'frozen' : 'live';
}
