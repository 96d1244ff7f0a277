import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openDataset } from '../../src/data/index.ts';
import { bucketsOf } from '../../src/tensorboard/histogram.ts';
import { EventFile, type ParameterSource, tensorBoardRecorder } from '../../src/tensorboard/index.ts';
import { histogram, picture, scalar } from '../../src/tensorboard/summary.ts';
import { describeWith, run } from './environment.ts';
import { tensorboard } from './setup.mjs';

type Points<Value> = Record<string, [step: number, value: Value][]>;
interface Shown {
  readonly scalars: Points<number>;
  readonly histograms: Points<[left: number, right: number, count: number][]>;
  readonly images: Points<[width: number, height: number, ...files: [width: number, height: number, sha256: string][]]>;
}

describeWith(tensorboard, "event files in TensorBoard's hands", () => {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ortune-tensorboard-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));
  const read = async (path: string) => JSON.parse(await run(tensorboard, [path])) as Record<string, Shown>;

  it('every scalar, histogram and picture is what went in', async () => {
    const path = join(folder, 'values');
    const file = await EventFile.open(join(path, 'run'));
    const losses = [2.5, 1.25, 1e-30, 3e38, -0.1];
    for (const [step, loss] of losses.entries()) file.append(3 * step, [scalar('loss/train', loss)]);
    const values = Float32Array.from({ length: 1000 }, (_, index) => Math.sin(index) * 3);
    file.append(7, [histogram('parameters/fc_0.w_0', await bucketsOf(values))]);
    file.append(8, [histogram('parameters/none', await bucketsOf(new Float32Array(0)))]);
    const png = await sharp({ create: { width: 7, height: 5, channels: 3, background: 'teal' } })
      .png()
      .toBuffer();
    file.append(2 ** 40, [picture('pictures/one', { file: png, width: 7, height: 5 })]);
    await file.close();

    const { run: shown } = await read(path);
    expect(shown?.scalars).toEqual({ 'loss/train': losses.map((loss, step) => [3 * step, Math.fround(loss)]) });
    const rows = shown!.histograms['parameters/fc_0.w_0']![0]![1];
    expect(rows.reduce((sum, [, , count]) => sum + count, 0)).toBe(values.length);
    expect([rows[0]![0], rows.at(-1)![1]]).toEqual([Math.min(...values), Math.max(...values)]);
    for (const [index, [left, right, count]] of rows.entries()) {
      const within = values.filter((value) => value >= left && (index === 29 ? value <= right : value < right));
      expect(count, `bucket ${index}`).toBe(within.length);
    }
    expect(shown!.histograms['parameters/none']).toEqual([[8, []]]);
    const sha256 = createHash('sha256').update(png).digest('hex');
    expect(shown?.images).toEqual({ 'pictures/one': [[2 ** 40, [7, 5, [7, 5, sha256]]]] });
  });

  it('a run is there stage by stage', async () => {
    const [data, path, result] = ['data', 'runs', 'result'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    for (const name of ['daisy', 'rose']) {
      await mkdir(join(data, name), { recursive: true });
      for (let index = 0; index < 5; index++) {
        const background = { r: 40 * index, g: name === 'rose' ? 10 : 200, b: 90 };
        const png = sharp({ create: { width: 40, height: 50, channels: 3, background } }).png();
        await png.toFile(join(data, name, `${index}.png`));
      }
    }
    const dataset = await openDataset(data);
    await mkdir(result);
    const topLosses = [
      { picture: 'daisy/none.png' },
      ...dataset.test.map(({ file }) => ({ picture: file.slice(data.length + 1) })),
    ];
    const others = { label: 'daisy', predicted: 'rose', probability: 0.1, confidence: 0.9, cost: 2.3 };
    await writeFile(
      join(result, 'metrics.json'),
      JSON.stringify({ topLosses: topLosses.map((top) => ({ ...top, ...others })) }),
    );

    const values = Float32Array.of(-1, 0, 0.5, 2);
    const control: ParameterSource = { parameters: async () => new Map([['fc_0.w_0', values]]) };
    const recorder = tensorBoardRecorder(path);
    recorder.handle({ type: 'dataset', dataset }, control);
    for (const stage of ['pretrain', 'finetune'] as const) {
      recorder.handle({ type: 'start', stage, passes: 2, trainSize: 8, batchSize: 4, augment: true, seed: 1 }, control);
      for (let step = 0; step < 4; step++) {
        const [pass, batch] = [step >> 1, step & 1];
        recorder.handle({
          type: 'batch',
          step,
          pass,
          batch,
          learningRate: 0.5 / (step + 1),
          cost: 2 - step / 4,
          accuracy: step / 4,
          waitMs: 1,
        });
        if (batch === 0) continue;
        recorder.handle(
          { type: 'pass', pass, cost: 1.5, accuracy: 0.5, picturesPerSecond: 64, dataWait: 0.125 },
          control,
        );
        recorder.handle({ type: 'test', pass, part: 'test', cost: 1 / (pass + 1), accuracy: 0.75 });
      }
      recorder.handle({ type: 'saved', folder: result, seconds: 1 });
    }
    await recorder.close();

    const shown = await read(path);
    const stages = Object.keys(shown).map((name) => name.replace(/[\d-]{20}/, ''));
    expect(stages.toSorted()).toEqual(['finetune', 'pretrain']);
    for (const { scalars, histograms, images } of Object.values(shown)) {
      const passes = (value: number) => [
        [1, value],
        [3, value],
      ];
      expect(scalars).toEqual({
        'loss/train': [0, 1, 2, 3].map((step) => [step, 2 - step / 4]),
        'accuracy/train': [0, 1, 2, 3].map((step) => [step, step / 4]),
        learning_rate: [0, 1, 2, 3].map((step) => [step, Math.fround(0.5 / (step + 1))]),
        'loss/train_pass': passes(1.5),
        'accuracy/train_pass': passes(0.5),
        'loss/test': [
          [1, 1],
          [3, 0.5],
        ],
        'accuracy/test': passes(0.75),
        'speed/pictures_per_second': passes(64),
        'speed/data_wait': passes(0.125),
      });
      expect(Object.keys(histograms)).toEqual(['parameters/fc_0.w_0']);
      expect(histograms['parameters/fc_0.w_0']!.map(([step]) => step)).toEqual([1, 3]);
      const [augmented, worst] = ['pictures/augmented', 'pictures/furthest_off'].map((tag) => images[tag]![0]!);
      expect(augmented![0]).toBe(0);
      expect(worst![0]).toBe(3);
      for (const [, [width, height, own]] of [augmented!, worst!]) {
        expect(own?.slice(0, 2)).toEqual([width, height]);
        expect(height).toBeGreaterThan(128);
      }
    }
  });
});
