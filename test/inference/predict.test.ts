import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeModel, extract, PROBABILITIES } from '../../onnx/index.ts';
import { buildGraph, loadModel, OrtuneError, type Prediction, predict } from '../../src/index.ts';
import { withClassifierMetadata } from '../../src/inference/index.ts';

let folder: string;
const path = (name: string) => join(folder, name);
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ortune-predict-'));
  const { model } = await buildGraph({ width: 0.125, classes: 3, imageSize: 32, seed: 3, out: path('graph.onnx') });
  const served = withClassifierMetadata(extract(model, [], [PROBABILITIES]), {
    classes: ['a', 'b', 'c'],
    transform: { imageSize: 32, resizeSize: 37 },
  });
  await writeFile(path('model.onnx'), encodeModel(served));
  await mkdir(path('pictures'));
  const plain = (background: string) =>
    sharp({ create: { width: 40, height: 50, channels: 3, background } })
      .png()
      .toBuffer();
  await writeFile(path('pictures/1.png'), await plain('red'));
  await writeFile(path('pictures/2.png'), 'no picture');
  await writeFile(path('pictures/3.png'), await plain('green'));
});
afterAll(() => rm(folder, { recursive: true }));

describe('predict', () => {
  it('tells of each picture what the model does, and of a broken one why not', async () => {
    const told: Prediction[] = [];
    for await (const prediction of predict(path('pictures'), { model: path('model.onnx'), top: 2, threads: 1 })) {
      told.push(prediction);
    }
    await using classifier = await loadModel(path('model.onnx'), { threads: 1 });
    expect(told).toEqual([
      { file: path('pictures/1.png'), predictions: await classifier.predict(path('pictures/1.png'), { top: 2 }) },
      { file: path('pictures/2.png'), error: expect.any(OrtuneError) },
      { file: path('pictures/3.png'), predictions: await classifier.predict(path('pictures/3.png'), { top: 2 }) },
    ]);
  });

  it('says what stands for no picture', async () => {
    const all = predict([path('pictures'), path('none*.png')], { model: path('model.onnx') });
    await expect(all.next()).rejects.toMatchObject({ code: 'PICTURES_NOT_FOUND' });
  });
});
