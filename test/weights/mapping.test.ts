import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  formatReport,
  loadWeights,
  openWeights,
  type ParameterSpec,
  writePaddleFolder,
} from '../../src/weights/index.ts';
import { shared } from '../shared.ts';
import { failure, floatSafetensors, openBytes, resnetParameters, safetensors, temporaryFolder } from './helpers.ts';

const folder = await temporaryFolder();
type Tensors = Parameters<typeof floatSafetensors>[0];

/** A network of a stem and a head: two features, three classes. */
const NETWORK: readonly ParameterSpec[] = [
  { name: 'conv1_weights', dims: [2, 1, 1, 1] },
  { name: 'bn_conv1_mean', dims: [2] },
  { name: 'bn_conv1_variance', dims: [2] },
  { name: 'fc_0.w_0', dims: [2, 3] },
  { name: 'fc_0.b_0', dims: [3] },
];
const STEM: Tensors = {
  conv1_weights: { dims: [2, 1, 1, 1], data: [1, 2] },
  bn_conv1_mean: { dims: [2], data: [3, 4] },
  bn_conv1_variance: { dims: [2], data: [5, 6] },
};
const TORCH_STEM: Tensors = {
  'conv1.weight': STEM['conv1_weights']!,
  'bn1.running_mean': STEM['bn_conv1_mean']!,
  'bn1.running_var': STEM['bn_conv1_variance']!,
};

async function load(source: Uint8Array | string, options?: Parameters<typeof loadWeights>[2], network = NETWORK) {
  const file = typeof source === 'string' ? await openWeights(source) : await openBytes(folder, source);
  try {
    return await loadWeights(file, network, options);
  } finally {
    await file.close();
  }
}
const loadTensors = (tensors: Tensors, options?: Parameters<typeof loadWeights>[2]) =>
  load(floatSafetensors(tensors), options);

describe.skipIf(!shared)('genuine weights (needs ORTUNE_SHARED)', () => {
  const thin = `${shared}/weights/resnet50-thin.safetensors`;
  const partial = `${shared}/weights/ResNet50_pretrained-partial`;

  it('a whole ResNet50 under torchvision names loads but for its head of 2 classes', async () => {
    const parameters = resnetParameters({ width: 0.5, classes: 5 });
    const { values, report } = await load(thin, {}, parameters);
    expect(formatReport(report)).toBe(
      '265 loaded, 0 missing, 0 unexpected, 0 wrong shape (torchvision names); left out: head fc_0.w_0, fc_0.b_0',
    );
    expect([...values.keys(), ...report.leftOut].sort()).toEqual(parameters.map(({ name }) => name).sort());
    const file = await openWeights(thin);
    const projection = await file.read('layer4.0.downsample.1.running_var');
    await file.close();
    expect(values.get('bn5a_branch1_variance')).toEqual(projection.data);
  });

  it('its head loads too where none is left out: [classes, features] becomes [features, classes]', async () => {
    const { values, report } = await load(thin, { head: [] }, resnetParameters({ width: 0.5, classes: 2 }));
    expect(report.loaded).toHaveLength(267);
    const file = await openWeights(thin);
    const { data, dims } = await file.read('fc.weight');
    await file.close();
    expect(dims).toEqual([2, 1024]);
    const weights = values.get('fc_0.w_0')!;
    for (const [feature, label] of [
      [0, 0],
      [0, 1],
      [1, 0],
      [517, 1],
      [1023, 1],
    ] as const) {
      expect(weights[feature * 2 + label]).toBe(data[label * 1024 + feature]);
    }
  });

  it('an incomplete Paddle folder is refused by the names of exactly its nine missing weights', async () => {
    const parameters = resnetParameters({ classes: 1000 });
    const error = await failure(load(partial, {}, parameters));
    expect(error.code).toBe('WEIGHTS_MISMATCH');
    const listed = [...error.message.matchAll(/^ {2}(.*?): (\S+) /gm)].map(([, kind, name]) => `${kind} ${name}`);
    const present = new Set(await readdir(partial));
    const absent = parameters.map(({ name }) => name).filter((name) => !present.has(name) && !name.startsWith('fc_0'));
    expect(absent).toHaveLength(9);
    expect(listed).toEqual(absent.map((name) => `missing ${name}`));
    expect(error.message).toContain('  missing: res5a_branch1_weights [2048, 1024, 1, 1]\n');
    expect(error.message).toContain(
      'expected 265 parameters (paddle names), received 256: 9 missing, 0 of a wrong shape',
    );
    expect(error.message).toContain('--allow-missing');
  });

  it('and loads where they are allowed to be missing', async () => {
    const { values, report } = await load(partial, { allowMissing: ['res5?_branch*_weights'] }, resnetParameters({}));
    expect(formatReport(report)).toMatch(/^256 loaded, 9 missing, 0 unexpected, 0 wrong shape \(paddle names\)/);
    expect(values.size).toBe(256);
    // MSRA's ResNet50 has its own means: what is loaded is not the first values.
    expect(values.get('bn_conv1_mean')!.some((value) => value !== 0)).toBe(true);
  });
});

describe('loadWeights', () => {
  it('loads by name in the order of the network', async () => {
    const { values, report } = await loadTensors({ ...STEM, extra: { dims: [1], data: [1] } });
    expect([...values]).toEqual([
      ['conv1_weights', Float32Array.of(1, 2)],
      ['bn_conv1_mean', Float32Array.of(3, 4)],
      ['bn_conv1_variance', Float32Array.of(5, 6)],
    ]);
    expect(report).toEqual({
      dialect: 'paddle',
      loaded: ['conv1_weights', 'bn_conv1_mean', 'bn_conv1_variance'],
      missing: [],
      wrongShape: [],
      unexpected: ['extra'],
      leftOut: ['fc_0.w_0', 'fc_0.b_0'],
    });
  });

  it('leaves the head out whatever the file holds', async () => {
    const fits: Tensors = {
      ...STEM,
      'fc_0.w_0': { dims: [2, 3], data: [1, 2, 3, 4, 5, 6] },
      'fc_0.b_0': { dims: [9], data: Array(9).fill(0) },
    };
    const { values, report } = await loadTensors(fits);
    expect([values.size, report.unexpected, report.leftOut]).toEqual([3, [], ['fc_0.w_0', 'fc_0.b_0']]);
  });

  it.each(['', 'module.', '_orig_mod.module.'])('reads torchvision names behind %j', async (prefix) => {
    const named = Object.fromEntries(Object.entries(TORCH_STEM).map(([name, tensor]) => [prefix + name, tensor]));
    const { values, report } = await loadTensors({
      ...named,
      [`${prefix}bn1.num_batches_tracked`]: { dims: [], data: [7] },
      [`${prefix}fc.bias`]: { dims: [1], data: [7] },
      [`${prefix}aux.weight`]: { dims: [1], data: [7] },
    });
    expect(values.get('bn_conv1_variance')).toEqual(Float32Array.of(5, 6));
    expect(report).toMatchObject({ dialect: 'torchvision', unexpected: [`${prefix}aux.weight`] });
  });

  it('says which name a torchvision file lacks', async () => {
    const { 'bn1.running_var': _, ...rest } = TORCH_STEM;
    const error = await failure(loadTensors(rest));
    expect(error.message).toContain("  missing: bn_conv1_variance ('bn1.running_var') [2]");
  });

  it('widens float64 and float16', async () => {
    const doubles = Buffer.from(Float64Array.of(0.1, -2).buffer);
    const halves = Buffer.from(Uint16Array.of(0x3c00, 0xc000).buffer);
    const header = {
      conv1_weights: { dtype: 'F64', shape: [2, 1, 1, 1], data_offsets: [0, 16] },
      bn_conv1_mean: { dtype: 'F16', shape: [2], data_offsets: [16, 20] },
    };
    const bytes = safetensors(header, Buffer.concat([doubles, halves]));
    const { values } = await load(bytes, {}, NETWORK.slice(0, 2));
    expect(values.get('conv1_weights')).toEqual(Float32Array.of(0.1, -2));
    expect(values.get('bn_conv1_mean')).toEqual(Float32Array.of(1, -2));
  });

  it('refuses another shape, even of as many values, unless it is allowed', async () => {
    const tensors = { ...STEM, conv1_weights: { dims: [1, 2, 1, 1], data: [1, 2] } };
    const error = await failure(loadTensors(tensors));
    expect(error.code).toBe('WEIGHTS_MISMATCH');
    expect(error.message).toContain(
      '  wrong shape: conv1_weights: expected floating-point [2, 1, 1, 1], received float32 [1, 2, 1, 1]',
    );
    const { values, report } = await loadTensors(tensors, { allowMissing: ['conv1_*'] });
    expect(values.has('conv1_weights')).toBe(false);
    expect(report.wrongShape).toEqual([
      {
        name: 'conv1_weights',
        source: 'conv1_weights',
        expected: [2, 1, 1, 1],
        received: [1, 2, 1, 1],
        type: 'float32',
      },
    ]);
    expect(formatReport(report, { verbose: true }).split('\n')).toEqual([
      '2 loaded, 0 missing, 0 unexpected, 1 wrong shape (paddle names); left out: head fc_0.w_0, fc_0.b_0',
      '  wrong shape: conv1_weights: expected [2, 1, 1, 1], received float32 [1, 2, 1, 1]',
      '  loaded: bn_conv1_mean',
      '  loaded: bn_conv1_variance',
    ]);
  });

  it('refuses a network of another width by its shapes, and never counts nothing as loaded', async () => {
    const wide = Object.fromEntries(Object.keys(STEM).map((name) => [name, { dims: [4], data: [1, 2, 3, 4] }]));
    const error = await failure(loadTensors(wide));
    expect(error.code).toBe('WEIGHTS_MISMATCH');
    expect(error.message.match(/^ {2}wrong shape: /gm)).toHaveLength(3);
    expect((await failure(loadTensors(wide, { allowMissing: ['*'] }))).code).toBe('WEIGHTS_NAMES');
  });

  it('refuses integers for a parameter', async () => {
    const header = {
      conv1_weights: { dtype: 'I32', shape: [2, 1, 1, 1], data_offsets: [0, 8] },
      bn_conv1_mean: { dtype: 'F32', shape: [2], data_offsets: [8, 16] },
    };
    const error = await failure(load(safetensors(header, Buffer.alloc(16)), {}, NETWORK.slice(0, 2)));
    expect(error.message).toContain('received int32 [2, 1, 1, 1]');
  });

  it.each([
    ['NaN', { bn_conv1_mean: { dims: [2], data: [0, Number.NaN] } }, /'bn_conv1_mean'.*finite.*NaN at element 1/],
    [
      'an infinity',
      { conv1_weights: { dims: [2, 1, 1, 1], data: [Number.NEGATIVE_INFINITY, 0] } },
      /'conv1_weights'.*-Infinity at element 0/,
    ],
    [
      'a negative variance',
      { bn_conv1_variance: { dims: [2], data: [1, -0.5] } },
      /'bn_conv1_variance'.*variances from 0 up.*-0.5 at element 1/,
    ],
  ])('refuses %s by the tensor', async (_, tensors, message) => {
    const error = await failure(loadTensors({ ...STEM, ...tensors }));
    expect(error.code).toBe('WEIGHTS_VALUES');
    expect(error.message).toMatch(message);
  });

  it('does not take a pattern for more than it says', async () => {
    const { bn_conv1_mean: _, ...rest } = STEM;
    for (const pattern of ['bn_conv1', 'conv1_mean', 'bn.conv1.mean', 'BN*', 'bn_conv1_mea?n']) {
      expect((await failure(loadTensors(rest, { allowMissing: [pattern] }))).code, pattern).toBe('WEIGHTS_MISMATCH');
    }
    for (const pattern of ['bn_conv1_mean', '*', 'bn*mean', 'bn_conv?_mean']) {
      expect((await loadTensors(rest, { allowMissing: [pattern] })).report.missing, pattern).toEqual(['bn_conv1_mean']);
    }
  });

  it('refuses a file of another network by its names, whatever is allowed', async () => {
    const error = await failure(
      loadTensors({ 'features.0.weight': { dims: [1], data: [1] } }, { allowMissing: ['*'] }),
    );
    expect(error.code).toBe('WEIGHTS_NAMES');
    expect(error.message).toMatch(/paddle or torchvision.*features\.0\.weight.*conv1_weights.*--weights none/s);
  });
});

describe('a Paddle combined file', () => {
  const values: Readonly<Record<string, number[]>> = {
    bn_conv1_mean: [3, 4],
    bn_conv1_variance: [5, 6],
    conv1_weights: [1, 2],
    'fc_0.b_0': [7, 8, 9],
    'fc_0.w_0': [1, 2, 3, 4, 5, 6],
  };

  async function combined(names: readonly string[]): Promise<Buffer> {
    const path = join(folder, `combined-${names.length}`);
    const dims = new Map(NETWORK.map((parameter) => [parameter.name, parameter.dims]));
    await writePaddleFolder(
      path,
      names.map((name) => ({ name, dims: dims.get(name)!, data: Float32Array.from(values[name]!) })),
    );
    return Buffer.concat(await Promise.all(names.map((name) => readFile(join(path, name)))));
  }

  it.each([3, 5])('of %i records, with the head or without, is named by the sorted names', async (count) => {
    const bytes = await combined(Object.keys(values).slice(0, count));
    const { values: loaded, report } = await load(bytes);
    expect(loaded.get('conv1_weights')).toEqual(Float32Array.of(1, 2));
    expect(loaded.get('bn_conv1_variance')).toEqual(Float32Array.of(5, 6));
    expect(report).toMatchObject({ missing: [], unexpected: [] });
    expect(report.loaded).toHaveLength(3);
  });

  it('of another number of records is refused', async () => {
    const error = await failure(load(await combined(Object.keys(values).slice(0, 4))));
    expect(error.code).toBe('WEIGHTS_NAMES');
    expect(error.message).toMatch(/expected 5 records \(or 3 without the head\).*received 4/);
  });
});
