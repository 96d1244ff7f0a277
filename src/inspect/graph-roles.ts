import { type GraphMessage, type NodeMessage, toNumber } from '../../onnx/proto.ts';
import type { BatchNormDescription } from './types.ts';

/** The library finds these inputs of a training model by their names. */
export const BUFFER_SUFFIX = '_grad.accumulation.buffer';
/** Outputs of a training model that tell of a buffer's filling. */
export const FLAG_SUFFIX = '_grad.accumulation.out';
export const RESET_FLAG = 'lazy_reset_grad';

const STATE_SLOT = /\.(first_moment|second_moment|momentum)$/;
const STATE_STEP = 'optimizer.step';

/**
 * Whether a name is that of what an update within the training graph remembers.
 * @param isParameter of the same file
 */
export function isOptimizerState(name: string, isParameter: (name: string) => boolean): boolean {
  return name === STATE_STEP || (STATE_SLOT.test(name) && isParameter(name.replace(STATE_SLOT, '')));
}

/** Operators with parameters, and which of their inputs those are; the first is data. */
const PARAMETER_INPUTS: Readonly<Record<string, readonly number[]>> = {
  BatchNormInternal: [1, 2, 3, 4],
  BatchNormalization: [1, 2, 3, 4],
  Conv: [1, 2],
  ConvTranspose: [1, 2],
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

const BATCH_NORMS: ReadonlySet<string> = new Set(['BatchNormInternal', 'BatchNormalization']);

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
  for (const { opType, input = [] } of allNodes(graph)) {
    const places = PARAMETER_INPUTS[opType ?? ''];
    if (!places) continue;
    data.add(input[0] ?? '');
    for (const place of places) if (input[place]) names.add(input[place]);
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
  const mode = attribute.find(({ name }) => name === 'training_mode');
  // The defaults of the two operators' schemas.
  const training = mode ? toNumber(mode.i) : opType === 'BatchNormInternal' ? 1 : 0;
  return training === 0 ? 'frozen' : 'live';
}
