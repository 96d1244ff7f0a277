import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeModel, HEAD_PARAMETERS, IMAGE, LABEL, LOGITS, LOSS } from '../../onnx/index.ts';
import { Random } from '../../src/random.ts';
import { CheckpointState, type Tensor, TrainingSession } from '../../src/runtime/index.ts';
import { runCommand } from './command.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ortune-build-graph-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const build = (...args: string[]) => runCommand(folder, 'build-graph', args);
const THIN = ['--width', '0.125', '--classes', '3'];
const path = (name: string) => join(folder, name);

describe('a graph', () => {
  it("has torchvision's figures for ResNet50 and ImageNet's thousand classes, and goes where it is asked", async () => {
    const { code, stdout, stderr } = await build('--classes', '1000', '--out', 'deep/er/full.onnx');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const { size } = await stat(path('deep/er/full.onnx'));
    expect(stdout.trimEnd().split('\n')).toEqual([
      'Layers: 53 convolutions, 53 BatchNorms, 1 fully connected',
      'Parameters: 25,557,032 (and 53,120 running statistics)',
      'Multiply-adds: 4,089,184,256 per picture',
      `Bytes: ${size.toLocaleString('en-US')}`,
      'Saved: deep/er/full.onnx',
    ]);
    await rm(path('deep'), { recursive: true });
  });

  it('is written to models/graph.onnx by default, by its options', async () => {
    const options = ['--stride-in', '1x1', '--image-size', '96', '--input-norm', 'caffe', '--seed', '7'];
    expect((await build(...THIN, ...options)).code).toBe(0);
    const { graph, metadata } = decodeModel(await readFile(path('models/graph.onnx')));
    expect(graph.inputs).toEqual([{ name: 'image', type: 'uint8', dims: ['batch', 96, 96, 3] }]);
    expect(JSON.parse(metadata.get('ortune.network') as string)).toEqual({
      depth: 50,
      width: 0.125,
      strideIn: '1x1',
      classes: 3,
      imageSize: 96,
      inputNorm: 'caffe',
      dropout: 0,
      seed: 7,
    });
    expect(await readdir(path('models'))).toEqual(['graph.onnx']);
  });
});

describe('training artifacts', () => {
  it.each([
    { stage: 'one', side: 32, trained: HEAD_PARAMETERS.length },
    { stage: 'two', side: 96, trained: 161 },
  ])('of stage $stage load and train', async ({ stage, side, trained }) => {
    const args = [...THIN, '--image-size', String(side), '--out', 'a.onnx', '--artifacts', stage, '--stage', stage];
    const { code, stdout, stderr } = await build(...args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain(`Training artifacts of stage ${stage}: ${stage}\n`);
    const names = ['checkpoint', 'eval_model.onnx', 'optimizer_model.onnx', 'training_model.onnx'];
    expect((await readdir(path(stage))).sort()).toEqual(names);

    await using state = await CheckpointState.load(path(`${stage}/checkpoint`));
    await using session = await TrainingSession.create({
      checkpointState: state,
      trainModel: path(`${stage}/training_model.onnx`),
      evalModel: path(`${stage}/eval_model.onnx`),
      optimizerModel: path(`${stage}/optimizer_model.onnx`),
      options: { intraOpThreads: 1 },
    });
    const graph = decodeModel(await readFile(path(`${stage}/training_model.onnx`))).graph;
    expect(graph.inputs.filter(({ name }) => name.endsWith('_grad.accumulation.buffer'))).toHaveLength(trained);

    const random = new Random(0, 'pictures');
    const data = Uint8Array.from({ length: 6 * side * side * 3 }, () => random.integer(256));
    const feeds: Record<string, Tensor> = {
      [IMAGE]: { type: 'uint8', dims: [6, side, side, 3], data },
      [LABEL]: { type: 'int64', dims: [6], data: BigInt64Array.of(0n, 1n, 2n, 0n, 1n, 2n) },
    };
    await session.setLearningRate(1e-4);
    const costs: number[] = [];
    for (let step = 0; step < 12; step++) {
      costs.push(Number((await session.trainStep(feeds))[LOSS]?.data[0]));
      await session.optimizerStep();
      await session.lazyResetGrad();
    }
    // Six pictures learnt by heart.
    expect(costs.at(-1)).toBeLessThan(costs[0] as number);
    expect((await session.evalStep(feeds))[LOGITS]?.dims).toEqual([6, 3]);
  });
});

describe('a mistake', () => {
  it.each([
    [['--image-size', '100'], /^Error: image-size: expected a multiple of 32 from 32 up, received 100$/],
    [['--image-size', 'large'], /^Error: --image-size: expected a number, received NaN\. See --help\.$/],
    [['--depth', '42'], /^Error: depth: expected one of 18, 34, 50, 101, 152, received 42$/],
    [['--input-norm', 'bgr'], /^Error: Invalid values:\s+Argument: input-norm, Given: "bgr", Choices: .*"caffe"/],
    [['--classes', '1'], /^Error: classes: expected a whole number from 2 up, received 1$/],
    [['--artifacts', 'made'], /^Error: expected --artifacts DIR and --stage one\|two together/],
    [['--stage', 'one'], /^Error: expected --artifacts DIR and --stage one\|two together/],
    [['--artifacts', 'made', '--stage', 'three'], /Argument: stage, Given: "three", Choices: "one", "two"/],
    [['--bn', 'live'], /^Error: --bn: expected with --artifacts only/],
    [['--out', 'file/graph.onnx'], /^Error: \S+ cannot be written: (ENOTDIR|EEXIST): .*file is in the way/],
  ])('%j is named, and nothing is written', async (args, message) => {
    await writeFile(path('file'), 'in the way of a folder');
    const before = await readdir(folder, { recursive: true });
    const { code, stdout, stderr } = await build('--width', '0.125', ...args);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr.trimEnd()).toMatch(message);
    expect(stderr).not.toMatch(/^\s+at /m);
    expect(await readdir(folder, { recursive: true })).toEqual(before);
  });
});
