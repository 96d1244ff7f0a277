import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { buildResNet, bytesOf, encodeModel, withInitializers } from '../../onnx/index.ts';
import { runCommand } from './command.ts';

let folder: string;
const model = buildResNet({ width: 0.125, imageSize: 32, classes: 3 });

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ortune-inspect-cli-'));
  await writeFile(join(folder, 'graph.onnx'), encodeModel(model));
  const other = withInitializers(model, new Map([['fc_0.b_0', bytesOf(Float32Array.of(0, 2, 0))]]));
  await writeFile(join(folder, 'other.onnx'), encodeModel(other));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const inspect = (...args: string[]) => runCommand(folder, 'inspect', args);

it('lists the parameters of a model, or those of a name', async () => {
  const { code, stdout, stderr } = await inspect('graph.onnx', '--filter', 'fc_0*');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toContain('graph.onnx: model, ');
  expect(stdout).toContain('BatchNorm: 53 on their running statistics');
  expect(
    stdout
      .trimEnd()
      .split('\n')
      .slice(-3)
      .map((line) => line.split(/ +/).slice(0, 4)),
  ).toEqual([
    ['name', 'role', 'type', 'shape'],
    ['fc_0.w_0', 'parameter', 'float32', '[256,'],
    ['fc_0.b_0', 'parameter', 'float32', '[3]'],
  ]);
});

it('gives JSON with every tensor', async () => {
  const { stdout } = await inspect('graph.onnx', '--json');
  const { path, files } = JSON.parse(stdout);
  expect({ path, files: files.length }).toEqual({ path: 'graph.onnx', files: 1 });
  expect(files[0].tensors.map(({ name }: { name: string }) => name)).toEqual([...model.graph.initializers.keys()]);
});

it('compares, and exits with 0 whatever it finds', async () => {
  const { code, stdout } = await inspect('graph.onnx', '--diff', 'other.onnx');
  expect(code).toBe(0);
  expect(
    stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.trim().split(/ {2,}/)),
  ).toEqual([
    ['graph.onnx -> other.onnx'],
    ['1 tensor changed in value, 268 the same to the last bit'],
    ['name', 'role', 'norm of the change / norm', 'largest change'],
    ['fc_0.b_0', 'parameter', 'Infinity', '2.000'],
  ]);
  expect((await inspect('graph.onnx', '--diff', 'graph.onnx', '--json')).stdout).toContain('"result":"identical"');
});

/** A file with what stands in the CUDA provider's library of all kernels, or of some. */
async function writeProvider(name: string, kernels: readonly string[]) {
  const symbols = kernels.map((kernel) => `kCudaExecutionProvider_${kernel}`).map((text) => `${text.length}${text}E`);
  await writeFile(join(folder, name), `\x7fELF\0${symbols.join('\0')}\0`);
}
const KERNELS = [
  ...['Add_kOnnxDomain_ver14_float', 'BatchNormalization_kOnnxDomain_ver15_float', 'Cast_kOnnxDomain_ver13_18_uint8_t'],
  ...['Conv_kOnnxDomain_ver11_21_float', 'Flatten_kOnnxDomain_ver13', 'Gemm_kOnnxDomain_ver13_float'],
  ...[
    'GlobalAveragePool_kOnnxDomain_ver1_21_float',
    'MaxPool_kOnnxDomain_ver12_21_float',
    'Mul_kOnnxDomain_ver14_float',
  ],
  ...['Relu_kOnnxDomain_ver14_float', 'Softmax_kOnnxDomain_ver13_float', 'Sub_kOnnxDomain_ver14_float'],
  ...['Div_kOnnxDomain_ver14_float', 'Transpose_kOnnxDomain_ver13_20'],
];

it('tells that every node has a CUDA kernel', async () => {
  await writeProvider('all.so', KERNELS);
  const { code, stdout, stderr } = await inspect('graph.onnx', '--cuda', 'all.so');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const nodes = model.graph.nodes.length;
  expect(stdout).toBe(`graph.onnx: model, each of ${nodes} nodes has a CUDA kernel of its version and types\n`);
});

it('names the nodes without one, in either order of the arguments, and all of them as data', async () => {
  await writeProvider(
    'some.so',
    KERNELS.filter((kernel) => !kernel.startsWith('MaxPool')),
  );
  const { stdout } = await inspect('--cuda', 'some.so', 'graph.onnx');
  const lines = stdout.trimEnd().split('\n');
  expect(lines[0]).toContain(`graph.onnx: model, 1 of ${model.graph.nodes.length} nodes would run on the CPU`);
  expect(lines.slice(1).map((line) => line.trim().split(/ {2,}/))).toEqual([
    ['node', 'operator', 'types of inputs', 'CUDA kernel'],
    ['pool1', 'MaxPool 12', 'float32', 'no kernel for this operator'],
  ]);
  const { path, library, files } = JSON.parse((await inspect('graph.onnx', '--cuda', 'some.so', '--json')).stdout);
  expect({ path, library, files: files.length }).toEqual({ path: 'graph.onnx', library: 'some.so', files: 1 });
  expect(files[0].nodes.map(({ node }: { node: string }) => node)).toEqual(model.graph.nodes.map(({ name }) => name));
  const without = files[0].nodes.filter(({ reason }: { reason?: string }) => reason);
  expect(without).toMatchObject([{ op: 'MaxPool', version: 12, reason: 'no kernel for this operator' }]);
});

it.each([
  [['graph.onnx', 'other.onnx'], 'expected one file or folder, received 2'],
  [['graph.onnx', '--filter', 'res9*'], '--filter res9*: expected to match a name of the'],
  [['graph.onnx', 'other.onnx', '--cuda', 'a.so'], 'expected one file or folder, received 2'],
  [['--cuda', 'a.so'], 'expected one file or folder, received 0'],
  [['graph.onnx', '--cuda', '--filter', 'res5*'], '--cuda: expected without --filter'],
  [['graph.onnx', '--cuda', '--diff', 'other.onnx'], '--cuda: expected without --diff'],
  [['graph.onnx', '--cuda', 'none.so'], "cannot read the CUDA provider's library none.so"],
  [['missing.onnx'], 'missing.onnx: expected an ONNX model'],
])('refuses %j', async (args, message) => {
  const { code, stdout, stderr } = await inspect(...args);
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(stderr).toContain(`Error: ${message}`);
});
