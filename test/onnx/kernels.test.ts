import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import {
  ADAM_DEFAULTS,
  buildArtifacts,
  buildResNet,
  decodeModel,
  encodeModel,
  extract,
  type GraphOptimizer,
  headOnly,
  LOGITS,
  type Model,
  type Node,
  wholeNetwork,
} from '../../onnx/index.ts';
import { parseKernels, uncovered } from '../../onnx/kernels.ts';
import { type ElementType, OPSET } from '../../onnx/model.ts';
import { readCudaKernels } from '../../src/runtime/cuda-kernels.ts';
import { shared } from '../shared.ts';
import { trainedLike } from './tiny-nets.ts';

/** A model of one node on inputs of the given types. */
function oneNode(op: string, types: readonly ElementType[], { domain = '', opset = OPSET } = {}): Model {
  const inputs = types.map((type, index) => ({ name: `in${index}`, type, dims: [2] }));
  const node: Node = { op, domain, name: op, inputs: inputs.map(({ name }) => name), outputs: ['out'], attributes: {} };
  return {
    graph: { name: '', inputs, outputs: [], nodes: [node], initializers: new Map(), values: new Map() },
    opsets: new Map([
      ['', opset],
      ['com.microsoft', 1],
    ]),
    metadata: new Map(),
  };
}

const reasons = (model: Model, ...names: string[]) => uncovered(model, parseKernels(names)).map(({ reason }) => reason);
const MS = { domain: 'com.microsoft' };

describe('a kernel registered by the name of its class', () => {
  it.each([
    {
      why: 'a range holds the version',
      names: ['Conv_kOnnxDomain_ver11_21_float'],
      model: oneNode('Conv', ['float32']),
    },
    { why: 'no end, the very version', names: ['Gemm_kOnnxDomain_ver13_double'], model: oneNode('Gemm', ['float64']) },
    { why: 'any type', names: ['Transpose_kOnnxDomain_ver13_20'], model: oneNode('Transpose', ['uint8']) },
    {
      why: 'the type that is cast from',
      names: ['Cast_kOnnxDomain_ver13_18_uint8_t'],
      model: oneNode('Cast', ['uint8']),
    },
    {
      why: 'one type for each of two inputs',
      names: ['InPlaceAccumulatorV2_kMSDomain_ver1_float_MLFloat16'],
      model: oneNode('InPlaceAccumulatorV2', ['float32', 'float16', 'bool'], MS),
    },
    {
      why: 'float16 maps with float32 statistics',
      names: ['BatchNormInternal_kMSDomain_ver1_MLFloat16_float_float'],
      model: oneNode('BatchNormInternal', ['float16', 'float32', 'float32', 'float32', 'float32'], MS),
    },
    {
      why: 'logits and labels',
      names: ['SoftmaxCrossEntropyLoss_kOnnxDomain_ver13_float_int64_t'],
      model: oneNode('SoftmaxCrossEntropyLoss', ['float32', 'int64']),
    },
    {
      why: 'the right one of several',
      names: ['Relu_kOnnxDomain_ver13_13_float', 'Relu_kOnnxDomain_ver14_double', 'Relu_kOnnxDomain_ver14_float'],
      model: oneNode('Relu', ['float32']),
    },
  ])('takes a node: $why', ({ names, model }) => {
    expect(reasons(model, ...names)).toEqual([]);
  });

  it.each([
    {
      why: 'no end, but a later version',
      names: ['Flatten_kOnnxDomain_ver11_12', 'Flatten_kOnnxDomain_ver13'],
      model: oneNode('Flatten', ['float32'], { opset: 21 }),
      reason: 'kernels for versions 11 to 12, 13 only',
    },
    {
      why: 'a range that ended',
      names: ['Conv_kOnnxDomain_ver1_10_float'],
      model: oneNode('Conv', ['float32']),
      reason: 'kernels for versions 1 to 10 only',
    },
    {
      why: 'another type',
      names: ['ReduceMin_kOnnxDomain_ver1_17_float', 'ReduceMin_kOnnxDomain_ver1_17_int32_t'],
      model: oneNode('ReduceMin', ['bool']),
      reason: 'kernels for types float32, int32 only',
    },
    {
      why: 'another type, untold by the name',
      names: ['Sum_kOnnxDomain_ver13'],
      model: oneNode('Sum', ['int64']),
      reason: 'kernels for types float16, float32, float64, bfloat16 only',
    },
    {
      why: 'a scale of another type than the map',
      names: ['BatchNormalization_kOnnxDomain_ver15_MLFloat16'],
      model: oneNode('BatchNormalization', ['float16', 'float32', 'float32', 'float32', 'float32']),
      reason: 'kernels for types float16 only',
    },
    {
      why: 'another domain',
      names: ['Conv_kMSInternalNHWCDomain_ver11_21_float'],
      model: oneNode('Conv', ['float32']),
      reason: 'no kernel for this operator',
    },
    {
      why: 'an operator whose versions are not known',
      names: ['Abs_kOnnxDomain_ver13_float'],
      model: oneNode('Abs', ['float32']),
      reason: 'the version of this operator is not known',
    },
  ])('leaves a node to the CPU: $why', ({ names, model, reason }) => {
    expect(reasons(model, ...names)).toEqual([reason]);
  });

  it('is refused when its name is of another form', () => {
    expect(() => parseKernels(['Conv_ver11'])).toThrow("received 'Conv_ver11'");
  });
});

describe('uncovered', () => {
  it('says of a node in a branch what it is and what it reads from the graph around', () => {
    const artifacts = buildArtifacts(buildResNet({ width: 1 / 32, imageSize: 32 }), headOnly('frozen', adam));
    const names = ['If_kOnnxDomain_ver13_18', 'Mul_kOnnxDomain_ver14_double'];
    const found = uncovered(decodeModel(artifacts.trainingModel), parseKernels(names));
    expect(found.find(({ node }) => node === 'fc_0.b_0.square')).toEqual({
      node: 'fc_0.b_0.square',
      op: 'Mul',
      domain: '',
      version: 14,
      types: ['float32', 'float32'],
      reason: 'kernels for types float64 only',
    });
    expect(found.map(({ op }) => op)).not.toContain('If');
  });
});

const update = { weightDecay: 1e-2, decays: (name: string) => name.endsWith('weights'), rate: halfOfHead };
function halfOfHead(name: string): number {
  return name.startsWith('fc_0') ? 1 : 0.5;
}
const adam: GraphOptimizer = { ...update, algorithm: { kind: 'adam', beta1: 0.9, beta2: 0.999, epsilon: 1e-8 } };
const optimizers = {
  "the library's Adam": ADAM_DEFAULTS,
  AdamW: adam,
  'clipped AdamW': { ...adam, clipNorm: 1 },
  'plain SGD': { ...update, weightDecay: 0, algorithm: { kind: 'sgd', momentum: 0, nesterov: false } },
  'clipped momentum': { ...update, clipNorm: 1, algorithm: { kind: 'sgd', momentum: 0.9, nesterov: false } },
  'Nesterov momentum': { ...update, algorithm: { kind: 'sgd', momentum: 0.9, nesterov: true } },
} as const satisfies Record<string, typeof ADAM_DEFAULTS | GraphOptimizer>;

/** The kernels of the GPU library that setup has put in place, else of the list among the test material. */
async function cudaKernels(): Promise<ReadonlySet<string>> {
  const library = '../../native/runtime/linux-x86_64-gpu/libonnxruntime_providers_cuda.so';
  const file = fileURLToPath(new URL(library, import.meta.url));
  if (existsSync(file)) return readCudaKernels(file);
  if (!shared) return new Set();
  const list = join(shared, 'design/reference-graphs/cuda-kernels-1.24.1.txt');
  return new Set(readFileSync(list, 'utf8').trim().split('\n'));
}

const names = await cudaKernels();

describe.skipIf(names.size === 0)('on a GPU (needs the GPU library or ORTUNE_SHARED)', () => {
  const kernels = parseKernels(names);
  const networks = [
    buildResNet({ depth: 18, width: 1 / 16, imageSize: 32, inputNorm: 'caffe', dropout: 0.2 }, trainedLike(1)),
    buildResNet({ depth: 50, width: 1 / 32, imageSize: 32 }, trainedLike(1)),
    buildResNet({ depth: 50, width: 1 / 32, imageSize: 32, strideIn: '1x1', inputNorm: 'tutorial' }, trainedLike(1)),
  ];

  it('runs every node that serves and extracts features', () => {
    for (const network of networks) {
      expect(uncovered(decodeModel(encodeModel(network)), kernels)).toEqual([]);
      expect(uncovered(extract(network, ['features'], [LOGITS]), kernels)).toEqual([]);
    }
  });

  describe.each(Object.entries(optimizers))('with %s', (_, optimizer) => {
    it.each(['live', 'affine', 'frozen'] as const)(
      'runs every node that trains and evaluates, BatchNorm %s',
      (batchNorm) => {
        for (const network of networks) {
          const plans = [headOnly(batchNorm, optimizer), wholeNetwork(network, batchNorm, optimizer)];
          for (const plan of plans.flatMap((plan) => [plan, { ...plan, precision: 'fp16' } as const])) {
            const { trainingModel, evalModel, optimizerModel } = buildArtifacts(network, plan);
            for (const bytes of [trainingModel, evalModel, optimizerModel]) {
              if (bytes) expect(uncovered(decodeModel(bytes), kernels)).toEqual([]);
            }
          }
        }
      },
    );
  });

  it('would run nodes on the CPU for each kernel fewer', () => {
    const clipped = optimizers['clipped AdamW'];
    const network = networks[1] as Model;
    const { trainingModel } = buildArtifacts(network, wholeNetwork(network, 'live', clipped));
    const model = decodeModel(trainingModel);
    for (const missing of ['Pow_kOnnxDomain_ver15', 'Cast_kOnnxDomain_ver13_18_uint8_t', 'If_kOnnxDomain_ver13_18']) {
      const [op] = missing.split('_');
      const found = uncovered(model, parseKernels([...names].filter((name) => name !== missing)));
      expect([...new Set(found.map((node) => node.op))], missing).toEqual([op]);
    }
  });

  it('would run the gradient of max-pooling on the CPU were it MaxPoolGrad', () => {
    const network = networks[1] as Model;
    const artifacts = buildArtifacts(network, wholeNetwork(network, 'live', ADAM_DEFAULTS));
    const model = decodeModel(artifacts.trainingModel);
    const nodes = model.graph.nodes.map((node) =>
      node.op === 'GatherElementsGrad' ? { ...node, op: 'MaxPoolGrad', domain: '' } : node,
    );
    expect(uncovered({ ...model, graph: { ...model.graph, nodes } }, kernels)).toMatchObject([
      { op: 'MaxPoolGrad', reason: 'no kernel for this operator' },
    ]);
  });

  it('would run a part of the network on the CPU at a later opset', () => {
    const at = (opset: number) => {
      const found = uncovered({ ...(networks[1] as Model), opsets: new Map([['', opset]]) }, kernels);
      return new Set(found.map(({ op }) => op));
    };
    expect(at(20)).toEqual(new Set());
    expect(at(21)).toEqual(new Set(['Flatten']));
    expect(at(22)).toEqual(new Set(['MaxPool', 'GlobalAveragePool', 'Flatten']));
  });
});
