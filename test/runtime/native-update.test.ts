import { describe, expect, it } from 'vitest';
import {
  buildArtifacts,
  buildResNet,
  decodeModel,
  encodeModel,
  type Graph,
  type GraphOptimizer,
  type Model,
  type Node,
  ORTUNE,
  UPDATE_INPUTS,
  wholeNetwork,
} from '../../onnx/index.ts';
import { CheckpointState, type Tensors, TrainingSession } from '../../src/runtime/index.ts';
import { batch, CLASSES, SIDE } from './artifacts.ts';
import { failure } from './fixture.ts';

const ADAMW: GraphOptimizer = {
  algorithm: { kind: 'adam', beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
  weightDecay: 0.01,
  decays: () => true,
  rate: () => 1,
  averages: true,
};
const network = buildResNet({ width: 0.125, imageSize: SIDE, classes: CLASSES });
const { trainingModel, checkpoint } = buildArtifacts(network, {
  ...wholeNetwork(network, 'live', ADAMW),
  kernels: 'native',
});

const feeds = (count: number): Tensors => ({
  ...batch(count),
  [UPDATE_INPUTS.update]: { type: 'bool', dims: [1], data: Uint8Array.of(1) },
  [UPDATE_INPUTS.learningRate]: { type: 'float32', dims: [1], data: Float32Array.of(0.001) },
  [UPDATE_INPUTS.averageShare]: { type: 'float32', dims: [1], data: Float32Array.of(0.5) },
  [UPDATE_INPUTS.lossWeight]: { type: 'float32', dims: [], data: Float32Array.of(1) },
});

async function open(trainModel: Uint8Array = trainingModel) {
  const state = await CheckpointState.load(checkpoint);
  try {
    const session = await TrainingSession.create({
      checkpointState: state,
      trainModel,
      options: { intraOpThreads: 2, logSeverity: 'fatal' },
    });
    return {
      session,
      async [Symbol.asyncDispose]() {
        await session.dispose();
        await state.dispose();
      },
    };
  } catch (error) {
    await state.dispose();
    throw error;
  }
}

/** The training model with another node that moves the head's weights. */
function spoiled(
  change: (node: Node) => Partial<Node>,
  more: (graph: Graph) => Partial<Graph> = () => ({}),
): Uint8Array {
  const model: Model = decodeModel(trainingModel);
  const inBranch = (node: Node) =>
    node.domain === ORTUNE && node.inputs[0] === 'fc_0.w_0' ? { ...node, ...change(node) } : node;
  const nodes = model.graph.nodes.map((node) => {
    const branch = node.attributes['then_branch'];
    if (branch?.kind !== 'graph') return node;
    const value = { ...branch.value, nodes: branch.value.nodes.map(inBranch) };
    return { ...node, attributes: { ...node.attributes, then_branch: { kind: 'graph', value } as const } };
  });
  const graph = { ...model.graph, nodes };
  return encodeModel({ ...model, graph: { ...graph, ...more(graph) } });
}

const withInput = (place: number, name: string) => (node: Node) => ({
  inputs: node.inputs.map((old, index) => (index === place ? name : old)),
});

// The graph's own checks would find all of these first; a model may come from elsewhere.
describe('what is wrong with a native update is refused when the session opens', () => {
  it.each([
    ['another operator', spoiled(() => ({ op: 'Other' })), 'Other'],
    ['no beta', spoiled(({ attributes: { second_kept: _, ...rest } }) => ({ attributes: rest })), 'second_kept'],
    ['no gradient', spoiled(withInput(1, '')), 'fc_0.w_0.stored'],
    ['a step count of another type', spoiled(withInput(4, 'step_exponent')), 'step_exponent'],
  ])('%s', async (_, model, words) => {
    const { code, message } = await failure(() => open(model));
    expect(code).toBe('ORT_FAILED');
    expect(message).toContain(words);
  });
});

describe('what is wrong with a native update is refused by the step', () => {
  it.each([
    [
      "another parameter's gradient",
      withInput(1, 'fc_0.b_0_grad.accumulation.buffer'),
      /input 1 must have the parameter's shape \[\d+,5\], but has \[5\]/,
    ],
    [
      "another parameter's moment",
      withInput(3, 'fc_0.b_0.second_moment'),
      /input 3 must have the parameter's shape \[\d+,5\], but has \[5\]/,
    ],
    [
      "another parameter's average",
      withInput(8, 'fc_0.b_0.average'),
      /input 8 must have the parameter's shape \[\d+,5\], but has \[5\]/,
    ],
    ['a moment twice', withInput(3, 'fc_0.w_0.first_moment'), /input 3 must be memory of its own, but is input 2's/],
    ['the parameter as its moment', withInput(2, 'fc_0.w_0'), /input 2 must be memory of its own, but is input 0's/],
    ['a rate of many numbers', withInput(4, 'fc_0.b_0'), /input 4 must be a single number, but has the shape \[5\]/],
    [
      'a clip factor of many numbers',
      withInput(7, 'fc_0.b_0'),
      /input 7 must be a single number, but has the shape \[5\]/,
    ],
    ['an average without its share', withInput(9, ''), /an average needs its share, input 9/],
    ['a share without an average', withInput(8, ''), /an average needs its share, input 9/],
  ] as const)('%s', async (_, change, words) => {
    await using opened = await open(spoiled(change));
    const { code, message } = await failure(() => opened.session.trainStep(feeds(2)));
    expect(code).toBe('ORT_FAILED');
    expect(message).toMatch(words);
    expect(message).toContain("'fc_0.w_0.stored'");
  });
});

describe('sessions with native updates', () => {
  const train = async (steps: number) => {
    await using opened = await open();
    const losses: unknown[] = [];
    for (let step = 0; step < steps; step++) {
      losses.push((await opened.session.trainStep(feeds(2)))['loss']?.data[0]);
      await opened.session.lazyResetGrad();
    }
    return losses;
  };

  it('come and go beside each other', async () => {
    const [alone, first, second] = [await train(3), train(3), train(3)];
    expect(new Set(alone).size).toBe(3);
    expect(await first).toEqual(alone);
    expect(await second).toEqual(alone);
  });

  it('take no more memory with every step', async () => {
    await using opened = await open();
    const steps = async (count: number) => {
      for (let step = 0; step < count; step++) await opened.session.trainStep(feeds(1 + (step % 3)));
    };
    await steps(60);
    const before = process.memoryUsage().rss;
    await steps(120);
    // A copy of the parameters alone has 1.5 MiB: one kept in each step would be 180.
    expect((process.memoryUsage().rss - before) / 2 ** 20).toBeLessThan(60);
  });
});
