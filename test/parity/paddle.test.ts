import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';
import { buildResNet, floatsOf } from '../../onnx/index.ts';
import { writePaddleFolder } from '../../src/weights/index.ts';
import { describeParity } from './official.ts';
import { official } from './setup.mjs';

describeParity('PaddlePaddle', () => {
  it('loads every variable of a network that ortune wrote, value for value', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'ortune-paddle-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const { initializers } = buildResNet({ width: 0.125, imageSize: 32, classes: 7 }).graph;
    const parameters = [...initializers.values()].filter(({ name }) => !name.startsWith('input_'));
    await writePaddleFolder(
      join(folder, 'variables'),
      parameters.map((tensor) => ({ name: tensor.name, dims: tensor.dims, data: floatsOf(tensor) })),
    );

    const script = fileURLToPath(new URL('paddle.py', import.meta.url));
    const input = JSON.stringify(Object.fromEntries(parameters.map(({ name, dims }) => [name, dims])));
    const { status, stdout, stderr } = spawnSync(official.python, [script, join(folder, 'variables')], {
      input,
      encoding: 'utf8',
    });
    expect(status, stderr).toBe(0);
    const sha256 = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');
    const expected = Object.fromEntries(parameters.map(({ name, data }) => [name, sha256(data)]));
    expect(JSON.parse(stdout.trim().split('\n').at(-1) as string)).toEqual(expected);
    expect(parameters).toHaveLength(267);
  });
});
