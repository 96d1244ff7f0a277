import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  ADAM_DEFAULTS,
  buildArtifacts,
  decodeModel,
  encodeModel,
  type GraphOptimizer,
  wholeNetwork,
} from '../../onnx/index.ts';
import { type Kernels, parseKernels } from '../../onnx/kernels.ts';
import { type CudaCoverage, cudaCoverage, formatCoverage, openPath } from '../../src/inspect/index.ts';
import { basicBlocks, tinyNet } from '../onnx/tiny-nets.ts';
import { shared } from '../shared.ts';

const MODEL = tinyNet(basicBlocks);
const SGD: GraphOptimizer = {
  algorithm: { kind: 'sgd', momentum: 0.9, nesterov: false },
  weightDecay: 0,
  decays: () => false,
  rate: () => 1,
};

let folder: string;
const path = (name: string) => join(folder, name);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ortune-coverage-'));
  const artifacts = buildArtifacts(MODEL, wholeNetwork(MODEL, 'live', ADAM_DEFAULTS));
  await writeFile(path('training_model.onnx'), artifacts.trainingModel);
  await writeFile(path('eval_model.onnx'), artifacts.evalModel);
  await writeFile(path('optimizer_model.onnx'), artifacts.optimizerModel);
  await writeFile(path('checkpoint'), artifacts.checkpoint);
  await writeFile(path('model.onnx'), encodeModel(MODEL));
  const inGraph = buildArtifacts(MODEL, wholeNetwork(MODEL, 'live', SGD));
  await writeFile(path('in_graph.onnx'), inGraph.trainingModel);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const coverage = async (name: string, kernels: Kernels): Promise<CudaCoverage[]> =>
  cudaCoverage((await openPath(name === '' ? folder : path(name))).files, kernels);

const RELU = parseKernels(['Relu_kOnnxDomain_ver14_float', 'Add_kOnnxDomain_ver7_12_float']);

describe('the coverage of a model', () => {
  it('lists every node, with the reason of those without a kernel', async () => {
    const [found] = (await coverage('model.onnx', RELU)) as [CudaCoverage];
    expect(found.nodes.map(({ node, op }) => [node, op])).toEqual(MODEL.graph.nodes.map(({ name, op }) => [name, op]));
    const covered = found.nodes.filter(({ reason }) => reason === undefined);
    expect(new Set(covered.map(({ op }) => op))).toEqual(new Set(['Relu']));
    expect(covered).toHaveLength(MODEL.graph.nodes.filter(({ op }) => op === 'Relu').length);
    expect(found.nodes.find(({ op }) => op === 'Add')).toMatchObject({
      version: 14,
      types: ['float32', 'float32'],
      reason: 'kernels for versions 7 to 12 only',
    });
  });

  it('is told of each model in a folder, whatever it is for', async () => {
    const found = await coverage('', RELU);
    expect(found.map(({ kind, nodes }) => [kind, nodes.length > 0])).toEqual([
      ['training model', true],
      ['evaluation model', true],
      ['optimizer model', true],
      ['model', true],
    ]);
    expect(found[2]?.nodes.map(({ domain, op }) => `${domain}::${op}`)).toEqual(['com.microsoft::AdamWOptimizer']);
  });

  it('holds the nodes in branches', async () => {
    const [found] = (await coverage('in_graph.onnx', parseKernels(['If_kOnnxDomain_ver13_18']))) as [CudaCoverage];
    const { nodes } = decodeModel(readFileSync(path('in_graph.onnx'))).graph;
    expect(found.nodes.length).toBeGreaterThan(nodes.length);
    const ifs = found.nodes.filter(({ op }) => op === 'If');
    expect(ifs.length).toBeGreaterThan(0);
    expect(ifs.every(({ reason }) => reason === undefined)).toBe(true);
  });

  it('is none for a checkpoint', async () => {
    await expect(coverage('checkpoint', RELU)).rejects.toMatchObject({
      code: 'INSPECT_CUDA',
      message: expect.stringContaining(path('checkpoint')),
    });
  });

  it('names the file that it cannot decode', async () => {
    await writeFile(path('other.onnx'), encodeModel({ ...MODEL, graph: { ...MODEL.graph, outputs: [] } }));
    const { files } = await openPath(path('other.onnx'));
    const broken = files.map((file) => ({ ...file, content: file.content.subarray(0, file.content.length - 3) }));
    expect(() => cudaCoverage(broken, RELU)).toThrow(`${path('other.onnx')}: `);
  });
});

describe('the coverage in lines', () => {
  const nodes = [
    { node: 'a', op: 'Conv', domain: '', version: 11, types: ['float16', ''], reason: 'no kernel for this operator' },
    { node: '', op: 'ReluGrad', domain: 'com.microsoft', version: 1, types: ['float32', 'float32'] },
  ];

  it('names the nodes without a kernel, or all', () => {
    const found: CudaCoverage = { path: 'x.onnx', kind: 'training model', nodes };
    const [first, header, ...rows] = formatCoverage(found, false).split('\n');
    expect(first).toBe('x.onnx: training model, 1 of 2 nodes would run on the CPU');
    expect(header?.trim().split(/ {2,}/)).toEqual(['node', 'operator', 'types of inputs', 'CUDA kernel']);
    expect(rows[0]?.trim().split(/ {2,}/)).toEqual(['a', 'Conv 11', 'float16, ?', 'no kernel for this operator']);
    expect(rows[1]).toMatch(/^ {2}\?: left out/);
    expect(rows).toHaveLength(2);
    const all = formatCoverage(found, true).split('\n');
    expect(all[3]?.trim().split(/ {2,}/)).toEqual([
      '(unnamed)',
      'com.microsoft::ReluGrad 1',
      'float32, float32',
      'yes',
    ]);
  });

  it('say in one that nothing is left to the CPU', () => {
    const found: CudaCoverage = { path: 'x.onnx', kind: 'model', nodes: nodes.slice(1) };
    expect(formatCoverage(found, false)).toBe(
      'x.onnx: model, each of 1 node has a CUDA kernel of its version and types',
    );
  });
});

describe.skipIf(!shared)('with the kernels of 1.24.1 (needs ORTUNE_SHARED)', () => {
  it('everything that ortune writes is covered', async () => {
    const list = readFileSync(join(shared as string, 'design/reference-graphs/cuda-kernels-1.24.1.txt'), 'utf8');
    const kernels = parseKernels(list.trim().split('\n'));
    const found = [...(await coverage('', kernels)), ...(await coverage('in_graph.onnx', kernels))];
    expect(found.flatMap(({ nodes }) => nodes.filter(({ reason }) => reason !== undefined))).toEqual([]);
  });
});
