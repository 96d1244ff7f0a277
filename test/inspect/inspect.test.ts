import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  ADAM_DEFAULTS,
  type Artifacts,
  buildArtifacts,
  bytesOf,
  decodeModel,
  encodeModel,
  type GraphOptimizer,
  headOnly,
  type Model,
  wholeNetwork,
  withInitializers,
} from '../../onnx/index.ts';
import { runningStatistics } from '../../onnx/parameters.ts';
import { ModelProto } from '../../onnx/proto.ts';
import { optimizerState } from '../../onnx/update.ts';
import {
  describeFile,
  diffPaths,
  type FileDescription,
  formatDiff,
  formatFile,
  formatTensors,
  mainTensors,
  openPath,
  type Role,
} from '../../src/inspect/index.ts';
import { residualBlock, tinyNet } from '../onnx/tiny-nets.ts';

const MODEL: Model = tinyNet(residualBlock);
const STATISTICS = [...runningStatistics(MODEL.graph)].sort();
const HEAD = ['fc_0.b_0', 'fc_0.w_0'];
const ALL = [...MODEL.graph.initializers.keys()].sort();
const IN_GRAPH: GraphOptimizer = {
  algorithm: { kind: 'adam', beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
  weightDecay: 0.01,
  decays: () => true,
  rate: () => 1,
};

let folder: string;
const path = (...names: string[]) => join(folder, ...names);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ortune-inspect-'));
  await writeFile(path('graph.onnx'), encodeModel(MODEL));
  await writeArtifacts('one', buildArtifacts(MODEL, headOnly('frozen', ADAM_DEFAULTS)));
  await writeArtifacts('two', buildArtifacts(MODEL, wholeNetwork(MODEL, 'live', ADAM_DEFAULTS)));
  await writeArtifacts('own', buildArtifacts(MODEL, wholeNetwork(MODEL, 'live', IN_GRAPH)));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function writeArtifacts(
  name: string,
  artifacts: Omit<Artifacts, 'optimizerModel'> & { optimizerModel?: unknown },
) {
  await mkdir(path(name));
  await writeFile(path(name, 'training_model.onnx'), artifacts.trainingModel);
  await writeFile(path(name, 'eval_model.onnx'), artifacts.evalModel);
  await writeFile(path(name, 'checkpoint'), artifacts.checkpoint);
  if (artifacts.optimizerModel instanceof Uint8Array)
    await writeFile(path(name, 'optimizer_model.onnx'), artifacts.optimizerModel);
}

async function describeAll(...names: string[]): Promise<FileDescription[]> {
  const { files } = await openPath(path(...names));
  return Promise.all(files.map((file) => describeFile(file)));
}

const describeOne = async (...names: string[]) => (await describeAll(...names))[0] as FileDescription;

const named = ({ tensors }: FileDescription, role: Role) =>
  tensors
    .filter((tensor) => tensor.role === role)
    .map(({ name }) => name)
    .sort();

describe('what is trained', () => {
  it('is unknown to a network on its own', async () => {
    const file = await describeOne('graph.onnx');
    expect(file).toMatchObject({ kind: 'model', groups: [{ role: 'parameter', tensors: ALL.length }] });
    expect(named(file, 'parameter')).toEqual(ALL);
    expect(file.graph?.inputs).toEqual([{ name: 'pixels', type: 'float32', dims: ['batch', 2, 6, 5] }]);
    expect(formatFile(file)).toContain('What is trained is a matter of a stage');
  });

  it('is the head alone in stage one, in each of its files; the rest is constants within the models', async () => {
    const [training, evaluation, optimizer, checkpoint] = await describeAll('one');
    for (const file of [training, evaluation, checkpoint]) expect(named(file!, 'trained')).toEqual(HEAD);
    for (const file of [training, evaluation])
      expect(named(file!, 'frozen')).toEqual(ALL.filter((name) => !HEAD.includes(name)));
    expect(training?.graph?.batchNorms.map(({ mode }) => mode)).toEqual(new Array(5).fill('frozen'));
    expect(optimizer).toMatchObject({ kind: 'optimizer model', tensors: [] });
    expect(optimizer?.graph?.inputs).toContainEqual({ name: 'params', type: 'sequence of float32', dims: [] });
  });

  it('is all but the running statistics in stage two, which live BatchNorm moves', async () => {
    const [training, evaluation, , checkpoint] = await describeAll('two');
    for (const file of [training, evaluation, checkpoint]) {
      expect(named(file!, 'moved')).toEqual(STATISTICS);
      expect(named(file!, 'trained')).toEqual(ALL.filter((name) => !STATISTICS.includes(name)));
      expect(named(file!, 'frozen')).toEqual([]);
    }
    expect(training).toMatchObject({ kind: 'training model' });
    expect(evaluation).toMatchObject({ kind: 'evaluation model' });
    for (const file of [training, evaluation])
      expect(file?.graph?.inputs.map(({ name }) => name)).toEqual(['pixels', 'label']);
    expect(training?.graph?.batchNorms.map(({ mode }) => mode)).toEqual(new Array(5).fill('live'));
    expect(training?.graph?.operators).toMatchObject({ Conv: 7, 'com.microsoft::BatchNormInternal': 5 });
  });

  it('does not include what an update in the graph remembers', async () => {
    const trainable = [...MODEL.graph.initializers.values()].filter(({ name }) => !STATISTICS.includes(name));
    const state = optimizerState(trainable, IN_GRAPH)
      .map(({ name }) => name)
      .sort();
    for (const file of await describeAll('own')) {
      expect(named(file, 'optimizer')).toEqual(state);
      expect(named(file, 'trained')).toEqual(trainable.map(({ name }) => name).sort());
      if (file.graph)
        expect(file.graph.inputs.map(({ name }) => name)).toEqual(expect.arrayContaining(['pixels', 'label']));
    }
    const [training] = await describeAll('own');
    expect(training?.graph?.operators).toHaveProperty('If', 1);
    expect(training?.graph?.operators).toHaveProperty('Sqrt');
  });

  it.each([
    ['in mixed precision, where weights are cast before they are read', 'half', { precision: 'fp16' }],
    ["with the layers' native kernels", 'native', { layers: 'native' }],
  ] as const)('is the same %s', async (_, name, options) => {
    const plan = wholeNetwork(MODEL, 'live', { ...IN_GRAPH, averages: true });
    await writeArtifacts(name, buildArtifacts(MODEL, { ...plan, ...options }));
    const roles = async (name: string) => {
      const { tensors } = await describeOne(name, 'training_model.onnx');
      return tensors
        .filter(({ role }) => role !== 'optimizer' && role !== 'constant')
        .map(({ name, role }) => [name, role]);
    };
    expect(await roles(name)).toEqual(await roles('own'));
    const modes = async (folder: string) => (await describeOne(folder, 'training_model.onnx')).graph?.batchNorms;
    expect(await modes(name)).toEqual(await modes('own'));
  });

  it('is said by the checkpoint beside a network; alone it cannot tell a moved statistic from a frozen one', async () => {
    await mkdir(path('result'));
    await writeFile(path('result', 'graph.onnx'), encodeModel(MODEL));
    const { checkpoint } = buildArtifacts(MODEL, headOnly('live', ADAM_DEFAULTS));
    await writeFile(path('result', 'checkpoint'), checkpoint);
    const network = (await describeAll('result')).find(({ kind }) => kind === 'model') as FileDescription;
    expect(named(network, 'trained')).toEqual(HEAD);
    expect(named(network, 'moved')).toEqual(STATISTICS);
    expect(named(network, 'frozen')).toEqual(ALL.filter((name) => !HEAD.includes(name) && !STATISTICS.includes(name)));

    const alone = await describeOne('result', 'checkpoint');
    expect(named(alone, 'frozen')).toEqual(STATISTICS);
    expect(formatFile(alone)).toContain('live BatchNorm moves them all the same');
  });
});

describe('values', () => {
  it('are summed up, and what is not finite is counted apart', async () => {
    const values = Float32Array.of(3, -4, Number.NaN);
    await writeFile(
      path('values.onnx'),
      encodeModel(withInitializers(MODEL, new Map([['fc_0.b_0', bytesOf(values)]]))),
    );
    const bias = (await describeOne('values.onnx')).tensors.find(({ name }) => name === 'fc_0.b_0');
    expect(bias).toMatchObject({
      elements: 3,
      bytes: 12,
      values: { norm: 5, mean: -0.5, min: -4, max: 3, nonFinite: 1 },
    });
    expect(formatTensors([bias!]).split('\n')).toEqual([
      'name      role       type     shape   norm     mean     min    max',
      'fc_0.b_0  parameter  float32  [3]    5.000  -0.5000  -4.000  3.000  1 not finite',
    ]);
  });

  it("of a folder's training model come from its checkpoint", async () => {
    const files = await describeAll('two');
    const bias = (tensors: readonly { name: string; values?: unknown }[]) =>
      tensors.find(({ name }) => name === 'fc_0.b_0')?.values;
    expect(bias(files[0]!.tensors)).toBeUndefined();
    expect(bias(mainTensors(files))).toEqual(bias((await describeOne('graph.onnx')).tensors));
  });
});

describe('models of others', () => {
  it('are described with element types, attributes and places of values that ortune does not read', async () => {
    const graph = {
      node: [
        { opType: 'Constant', output: ['c'], attribute: [{ name: 'value', type: 4, t: { dataType: 8, dims: [1] } }] },
        { opType: 'Conv', input: ['x', 'far', 'u64'], output: ['y'] },
      ],
      input: [
        { name: 'x', type: { tensorType: { elemType: 17 } } },
        { name: 'u64', type: { tensorType: { elemType: 13 } } },
      ],
      initializer: [
        {
          name: 'far',
          dataType: 1,
          dims: [2, 3],
          dataLocation: 1,
          externalData: [{ key: 'location', value: 'x.bin' }],
        },
        { name: 'u64', dataType: 13, dims: [1], rawData: Uint8Array.of(9, 0, 0, 0, 0, 0, 0, 0) },
        { name: 'tiny', dataType: 22, dims: [5], rawData: new Uint8Array(3) },
        { name: 'odd', dataType: 99, dims: [] },
      ],
    };
    await writeFile(path('other.onnx'), ModelProto.encode({ irVersion: 10, graph }).finish());
    const file = await describeOne('other.onnx');
    expect(file.graph?.inputs).toEqual([{ name: 'x', type: 'float8e4m3fn', dims: [] }]);
    expect(file.tensors).toEqual([
      { name: 'far', type: 'float32', dims: [2, 3], role: 'parameter', elements: 6, bytes: 24 },
      {
        name: 'u64',
        type: 'uint64',
        dims: [1],
        role: 'parameter',
        elements: 1,
        bytes: 8,
        values: { norm: 9, mean: 9, min: 9, max: 9, nonFinite: 0 },
      },
      { name: 'tiny', type: 'int4', dims: [5], role: 'constant', elements: 5 },
      { name: 'odd', type: 'type 99', dims: [], role: 'constant', elements: 1 },
    ]);
  });

  it.each([
    ['empty.onnx', new Uint8Array(), 'holds no graph'],
    ['text.onnx', Buffer.from('name,label\n'), 'does not parse as ONNX'],
  ])('that are none are refused: %s', async (name, bytes, reason) => {
    await writeFile(path(name), bytes);
    await expect(openPath(path(name))).rejects.toMatchObject({
      code: 'ONNX_INVALID',
      message: expect.stringContaining(reason),
    });
  });

  it('that are not there, and folders without any, are refused', async () => {
    await mkdir(path('bare'));
    for (const name of ['missing', 'bare'])
      await expect(openPath(path(name))).rejects.toMatchObject({ code: 'INSPECT_NOT_FOUND' });
  });
});

describe('a comparison', () => {
  const compare = async (one: string[], other: string[]) =>
    diffPaths(await openPath(path(...one)), await openPath(path(...other)));

  it('of what is the same says so', async () => {
    const found = await compare(['graph.onnx'], ['graph.onnx']);
    expect(found.files[0]).toMatchObject({ result: 'identical', tensors: { same: ALL.length } });
    expect(formatDiff(found, false)).toContain('graph.onnx: identical to the last byte');
  });

  it('does not call identical what differs where it does not look', async () => {
    const nodes = MODEL.graph.nodes.map((node) =>
      node.op === 'Relu' ? { ...node, name: `${node.name}, renamed` } : node,
    );
    await writeFile(path('renamed.onnx'), encodeModel({ ...MODEL, graph: { ...MODEL.graph, nodes } }));
    const found = await compare(['graph.onnx'], ['renamed.onnx']);
    expect(found.files[0]).toMatchObject({ result: 'alike', changes: [], tensors: { changed: [], same: ALL.length } });
    expect(formatDiff(found, false)).toContain('though not all bytes are');
  });

  it('gives the size of a change of values', async () => {
    const bias = Float32Array.of(3, 0, 4);
    const before = withInitializers(MODEL, new Map([['fc_0.b_0', bytesOf(bias)]]));
    const after = withInitializers(MODEL, new Map([['fc_0.b_0', bytesOf(Float32Array.of(3, 0.5, 4))]]));
    await writeFile(path('before.onnx'), encodeModel(before));
    await writeFile(path('after.onnx'), encodeModel(after));
    const [file] = (await compare(['before.onnx'], ['after.onnx'])).files;
    expect(file).toMatchObject({ result: 'different', changes: [] });
    expect(file?.tensors).toMatchObject({
      changed: [{ name: 'fc_0.b_0', role: 'parameter', relative: 0.1, largest: 0.5 }],
      same: ALL.length - 1,
      notCompared: 0,
    });
  });

  it('of two stages tells what was unfrozen, and which operators came', async () => {
    const { files, onlyInFirst, onlyInSecond } = await compare(['one'], ['two']);
    expect({ onlyInFirst, onlyInSecond, files: files.length }).toEqual({ onlyInFirst: [], onlyInSecond: [], files: 4 });
    const [training, , optimizer, checkpoint] = files;
    expect(optimizer?.result).toBe('identical');
    expect(training?.changes).toContainEqual({ what: 'operator com.microsoft::ConvGrad', from: undefined, to: '7' });
    expect(training?.changes).toContainEqual({ what: 'BatchNorm bn_a', from: 'frozen', to: 'live' });
    expect(training?.tensors.roles).toContainEqual({ what: 'a_weights', from: 'frozen', to: 'trained' });
    expect(training?.tensors.roles).toContainEqual({ what: 'bn_a_mean', from: 'frozen', to: 'moved' });
    expect(checkpoint?.tensors.onlyInSecond.map(({ name }) => name).sort()).toEqual(
      ALL.filter((name) => !HEAD.includes(name)),
    );
    expect(formatDiff({ files, onlyInFirst, onlyInSecond }, false)).toMatch(/ and 4 others: frozen -> live/);
  });

  it('of a network with its checkpoint goes by names, and of other shapes says both', async () => {
    const [file] = (await compare(['graph.onnx'], ['two', 'checkpoint'])).files;
    expect(file?.tensors).toMatchObject({ changed: [], onlyInFirst: [], onlyInSecond: [], same: ALL.length });
    const graph = decodeModel(encodeModel(MODEL)).graph;
    const bias = { ...graph.initializers.get('fc_0.b_0')!, dims: [3, 1] };
    const initializers = new Map(graph.initializers).set('fc_0.b_0', bias);
    await writeFile(path('reshaped.onnx'), encodeModel({ ...MODEL, graph: { ...graph, initializers } }));
    const [reshaped] = (await compare(['graph.onnx'], ['reshaped.onnx'])).files;
    expect(reshaped?.tensors.reshaped).toEqual([{ what: 'fc_0.b_0', from: 'float32 [3]', to: 'float32 [3, 1]' }]);
  });

  it('needs two files or two folders', async () => {
    await expect(compare(['one'], ['graph.onnx'])).rejects.toMatchObject({ code: 'INSPECT_DIFF' });
  });
});
