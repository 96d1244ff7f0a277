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

it.each([
  [['graph.onnx', 'other.onnx'], 'expected one file or folder, received 2'],
  [['graph.onnx', '--filter', 'res9*'], '--filter res9*: expected to match a name of the'],
  [['missing.onnx'], 'missing.onnx: expected an ONNX model'],
])('refuses %j', async (args, message) => {
  const { code, stdout, stderr } = await inspect(...args);
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(stderr).toContain(`Error: ${message}`);
});
