import { afterAll, describe, expect, it } from 'vitest';
import {
  ADAM_DEFAULTS,
  type BatchNormMode,
  buildArtifacts,
  decodeModel,
  type GraphOptimizer,
  LOSS_SCALE,
  type Optimizer,
  OVERFLOW,
  type TrainingPlan,
  UPDATE_INPUTS,
  wholeNetwork,
} from '../../onnx/index.ts';
import type { Tensor } from '../../src/runtime/index.ts';
import { openSession } from '../../src/training/session.ts';
import { batchFor, feeds } from './gradients.ts';
import { basicBlocks, tinyNet } from './tiny-nets.ts';

const network = tinyNet(basicBlocks, { channels: 3, height: 20, width: 20 }, 'pool');
const batch = batchFor(network, 4);
const STEPS = 4;

const open: AsyncDisposable[] = [];
afterAll(async () => {
  for (const one of open) await one[Symbol.asyncDispose]();
});

const scalar = (value: number): Tensor => ({ type: 'float32', dims: [], data: Float32Array.of(value) });
const momentum: GraphOptimizer = {
  algorithm: { kind: 'sgd', momentum: 0.9, nesterov: false },
  weightDecay: 1e-2,
  decays: () => true,
  rate: () => 1,
  clipNorm: 1,
};
const UPDATE: Record<string, Tensor> = {
  [UPDATE_INPUTS.update]: { type: 'bool', dims: [1], data: Uint8Array.of(1) },
  [UPDATE_INPUTS.learningRate]: { type: 'float32', dims: [1], data: Float32Array.of(0.05) },
  [UPDATE_INPUTS.lossWeight]: scalar(1),
};

async function start(plan: TrainingPlan<Optimizer>) {
  const artifacts = buildArtifacts(network, plan);
  const opened = await openSession(artifacts, { device: 'cpu', threads: 1 });
  open.push(opened);
  const { session } = opened;
  const library = artifacts.optimizerModel !== undefined;
  const step = async (scale?: number) => {
    const scaled = scale === undefined ? {} : { [LOSS_SCALE]: scalar(scale) };
    const outputs = await session.trainStep({ ...feeds(batch), ...scaled, ...(library ? {} : UPDATE) });
    if (library) await session.optimizerStep();
    await session.lazyResetGrad();
    return outputs;
  };
  const values = async () => Buffer.from((await session.copyParametersToBuffer(false)).buffer);
  return { artifacts, step, values };
}

describe.each<[string, Optimizer]>([
  ["the library's Adam", ADAM_DEFAULTS],
  ['clipped momentum in the graph', momentum],
])('mixed precision with %s', (_name, optimizer) => {
  // The CPU has no half precision: the runtime leaves the casts out. A scale that is a power of two rounds nothing.
  it.each<BatchNormMode>(['live', 'affine'])('is float32 bit for bit on the CPU, BatchNorm %s', async (batchNorm) => {
    const plan = wholeNetwork(network, batchNorm, optimizer);
    const single = await start(plan);
    const half = await start({ ...plan, precision: 'fp16' });
    for (let step = 0; step < STEPS; step++) {
      const [expected, actual] = [await single.step(), await half.step(2 ** (10 + step))];
      expect(actual['loss']).toEqual(expected['loss']);
      expect(actual[OVERFLOW]?.data).toEqual(Uint8Array.of(0));
    }
    expect(Buffer.compare(await half.values(), await single.values())).toBe(0);
  });
});

describe('an overflow', () => {
  it('is told, and an update in the graph left out', async () => {
    const { step, values } = await start({ ...wholeNetwork(network, 'affine', momentum), precision: 'fp16' });
    const before = await values();
    for (const scale of [Number.POSITIVE_INFINITY, Number.NaN, 3e38]) {
      const { updated, ...outputs } = await step(scale);
      expect([outputs[OVERFLOW]?.data[0], updated?.data[0]], `${scale}`).toEqual([1, 0]);
      expect(Buffer.compare(await values(), before)).toBe(0);
    }
    const { updated, ...outputs } = await step(1024);
    expect([outputs[OVERFLOW]?.data[0], updated?.data[0]]).toEqual([0, 1]);
    expect(Buffer.compare(await values(), before)).not.toBe(0);
  });
});

describe('the training model of mixed precision', () => {
  const plan = { ...wholeNetwork(network, 'live', ADAM_DEFAULTS), precision: 'fp16' } as const;
  const artifacts = buildArtifacts(network, plan);
  const { graph } = decodeModel(artifacts.trainingModel);
  const known = [...graph.inputs, ...graph.outputs, ...graph.values.values(), ...graph.initializers.values()];
  const types = new Map(known.map(({ name, type }) => [name, type]));
  const typesOf = (op: string, part: 'inputs' | 'outputs') =>
    new Set(
      graph.nodes.filter((node) => node.op === op).map((node) => node[part].map((name) => types.get(name)).join()),
    );

  it('has its maps in half precision, its parameters, statistics and loss in float32', () => {
    expect(typesOf('Conv', 'inputs')).toEqual(new Set(['float16,float16']));
    expect(typesOf('ConvGrad', 'inputs')).toEqual(new Set(['float16,float16,float16']));
    expect(typesOf('BatchNormInternal', 'inputs')).toEqual(new Set(['float16,float32,float32,float32,float32']));
    expect(typesOf('BatchNormalizationGrad', 'outputs')).toEqual(new Set(['float16,float32,float32']));
    expect(typesOf('Relu', 'inputs')).toEqual(new Set(['float16']));
    expect(typesOf('Add', 'inputs')).toEqual(new Set(['float16,float16']));
    expect(typesOf('Gemm', 'outputs')).toEqual(new Set(['float32']));
    expect(typesOf('SoftmaxCrossEntropyLoss', 'inputs')).toEqual(new Set(['float32,int64']));
    expect(typesOf('InPlaceAccumulatorV2', 'inputs')).toEqual(new Set(['float32,float32,bool']));
  });

  // Its CUDA kernel loses the place of a half-precision maximum of 2048 or more.
  it('pools maxima in float32', () => {
    expect(typesOf('MaxPool', 'inputs')).toEqual(new Set(['float32']));
    expect(typesOf('GatherElementsGrad', 'outputs')).toEqual(new Set(['float32']));
  });

  it('casts each tensor once', () => {
    const casts = graph.nodes.filter(({ op, outputs }) => op === 'Cast' && !outputs[0]?.includes('_grad'));
    expect(new Set(casts.map(({ inputs }) => inputs[0])).size).toBe(casts.length);
  });

  it('stands beside an eval model and a checkpoint that know nothing of it', () => {
    const { graph: evaluation } = decodeModel(artifacts.evalModel);
    const all = [...evaluation.inputs, ...evaluation.values.values(), ...evaluation.initializers.values()];
    expect(all.filter(({ type }) => type === 'float16')).toEqual([]);
    const single = buildArtifacts(network, wholeNetwork(network, 'live', ADAM_DEFAULTS));
    expect(Buffer.compare(artifacts.checkpoint, single.checkpoint)).toBe(0);
    expect(Buffer.compare(artifacts.evalModel, single.evalModel)).toBe(0);
  });
});
