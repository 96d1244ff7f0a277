import { expect } from 'vitest';
import { nativeOperators } from '../../onnx/artifacts.ts';
import { checkArtifacts } from '../../onnx/check.ts';
import type { Purpose } from '../../onnx/check-subject.ts';
import {
  ADAM_DEFAULTS,
  type BatchNormMode,
  buildArtifacts,
  decodeModel,
  type Graph,
  type GraphOptimizer,
  type Model,
  type Node,
  type Optimizer,
  type TrainingPlan,
  wholeNetwork,
} from '../../onnx/index.ts';
import { basicBlocks, tinyNet } from './tiny-nets.ts';

export const network = tinyNet(basicBlocks, { channels: 3, height: 20, width: 20 }, 'pool');
export const sgd: GraphOptimizer = {
  algorithm: { kind: 'sgd', momentum: 0.9, nesterov: false },
  weightDecay: 1e-4,
  decays: () => true,
  rate: () => 1,
};

/** Right artifacts, as a test may spoil them. */
export interface Case {
  training: Model;
  evaluation: Model;
  purpose: Purpose;
}

export function right(
  batchNorm: BatchNormMode,
  optimizer: Optimizer = ADAM_DEFAULTS,
  {
    precision = 'fp32',
    kernels = 'stock',
    layers = 'stock',
  }: Pick<TrainingPlan, 'precision' | 'kernels' | 'layers'> = {},
): Case {
  const plan = { ...wholeNetwork(network, batchNorm, optimizer), precision, kernels, layers };
  const { trainingModel, evalModel } = buildArtifacts(network, plan);
  const evaluation = decodeModel(evalModel);
  const parameters = new Set(evaluation.graph.inputs.map(({ name }) => name).slice(2));
  const purpose = {
    trainable: plan.trainable,
    parameters,
    isLive: () => batchNorm === 'live',
    native: nativeOperators(plan),
  };
  return { training: decodeModel(trainingModel), evaluation, purpose };
}

/** What was spoiled, the spoiled case, and the complaint. */
export type Spoiled = [what: string, known: () => Case, complaint: string];

export const check = ({ training, evaluation, purpose }: Case) => checkArtifacts(training, evaluation, purpose);

type Part = 'training' | 'evaluation';
export const withGraph = (known: Case, part: Part, change: Partial<Graph>): Case => {
  return { ...known, [part]: { ...known[part], graph: { ...known[part].graph, ...change } } };
};

/** The case with other nodes in place of those that `wanted` takes: at least one. */
export function replace(
  known: Case,
  wanted: (node: Node) => boolean,
  by: (node: Node) => Node[],
  part: Part = 'training',
) {
  const { nodes } = known[part].graph;
  expect(nodes.some(wanted)).toBe(true);
  return withGraph(known, part, { nodes: nodes.flatMap((node) => (wanted(node) ? by(node) : [node])) });
}

export const isOp = (op: string) => (node: Node) => node.op === op;
export const first = (known: Case, op: string) => known.training.graph.nodes.find(isOp(op)) as Node;
export const isFirst = (known: Case, op: string) => (node: Node) => node === first(known, op);
export const without = (key: string, node: Node): Node => {
  return { ...node, attributes: Object.fromEntries(Object.entries(node.attributes).filter(([name]) => name !== key)) };
};
/** The node with another input, or output, at a place. */
export const wired = (node: Node, side: 'inputs' | 'outputs', place: number, name: string): Node => {
  return { ...node, [side]: node[side].map((old, index) => (index === place ? name : old)) };
};
export const rename = (graph: Graph, from: string, to: string): Partial<Graph> => ({
  inputs: graph.inputs.map((value) => (value.name === from ? { ...value, name: to } : value)),
  outputs: graph.outputs.map((value) => (value.name === from ? { ...value, name: to } : value)),
  nodes: graph.nodes.map((node) => ({
    ...node,
    inputs: node.inputs.map((name) => (name === from ? to : name)),
    outputs: node.outputs.map((name) => (name === from ? to : name)),
  })),
});
