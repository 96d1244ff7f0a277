import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeModel, extract, PROBABILITIES } from '../../onnx/index.ts';
import { checkAugmentation } from '../../src/augment/index.ts';
import { buildGraph } from '../../src/build-graph.ts';
import { checkData } from '../../src/check-data/index.ts';
import { batches } from '../../src/data/batches.ts';
import { badImagesError, checkImages } from '../../src/data/check.ts';
import { openDataset } from '../../src/data/dataset.ts';
import { decodeCentre } from '../../src/data/image.ts';
import { evaluate, predict, withClassifierMetadata } from '../../src/inference/index.ts';
import { pretrain, type TrainingEvent } from '../../src/training/index.ts';
import { collect, painted } from '../data/fixtures.ts';
import { ODD_PICTURES, type Outcome } from './odd-pictures.ts';
import { pngBytes } from './png-bytes.ts';

const TRANSFORM = { imageSize: 32, resizeSize: 37 };
const refused = (outcome: Outcome) => typeof outcome === 'string';
const READ = ODD_PICTURES.filter(([, outcome]) => !refused(outcome));
const REFUSED = ODD_PICTURES.filter(([, outcome]) => refused(outcome));

let folder: string;
const path = (...names: string[]) => join(folder, ...names);
const odd = (name: string) => path('data/train/odd', name);

/** Two classes, one of plain pictures. */
async function dataOf(name: string): Promise<void> {
  for (const part of ['train', 'test']) {
    for (const label of ['odd', 'plain']) await mkdir(path(name, part, label), { recursive: true });
    await writeFile(path(name, part, 'plain/plain.png'), await pngBytes({ row: [9, 90, 200, 8] }));
  }
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ortune-odd-'));
  await dataOf('data');
  await dataOf('whole');
  for (const [name, , bytes] of ODD_PICTURES) await writeFile(odd(name), await bytes());
  for (const [name] of READ) await symlink(odd(name), path('whole/test/odd', name));
  await writeFile(path('whole/train/odd/plain.png'), await pngBytes());
  const { model } = await buildGraph({ width: 0.125, classes: 2, imageSize: 32, seed: 3, out: path('graph.onnx') });
  const served = withClassifierMetadata(extract(model, [], [PROBABILITIES]), {
    classes: ['odd', 'plain'],
    transform: TRANSFORM,
  });
  await writeFile(path('model.onnx'), encodeModel(served));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function expectColour(pixels: Uint8Array, outcome: Outcome): void {
  if (typeof outcome === 'string') throw new Error('it should not have been read');
  const middle = [...pixels.subarray((16 * 32 + 16) * 3, (16 * 32 + 16) * 3 + 3)];
  for (const [channel, value] of outcome.colour.entries()) {
    expect(Math.abs(middle[channel]! - value), `${middle}`).toBeLessThanOrEqual(outcome.within ?? 0);
  }
}

describe('read, whatever it is', () => {
  test.each(READ)('%s', async (name, outcome) => {
    const sample = { file: odd(name), label: 0 };
    expect(await checkImages([sample])).toEqual([]);
    expectColour(await decodeCentre(sample.file, TRANSFORM), outcome);
    const resizedCrop = checkAugmentation({ crop: {} });
    for (const augment of [false, true, resizedCrop]) {
      const options = { batchSize: 1, imageSize: 32, seed: 0, pass: 0, augment, shuffle: false };
      const read = await collect(batches([sample], options));
      expect(read).toHaveLength(1);
      expectColour(read[0]!.images, outcome);
    }
    // As large as networks see pictures: nothing that is let through is too long for it.
    expect(await decodeCentre(sample.file, { imageSize: 224, resizeSize: 256 })).toHaveLength(224 * 224 * 3);
  });
});

// EXIF 2.3, tag 0x0112: what row 0 and column 0 of the stored picture show, e.g. 6 "row 0 is the right side, column 0 the top".
test.each([
  [1, 'top', 'left'],
  [2, 'top', 'right'],
  [3, 'bottom', 'right'],
  [4, 'bottom', 'left'],
  [5, 'left', 'top'],
  [6, 'right', 'top'],
  [7, 'right', 'bottom'],
  [8, 'left', 'bottom'],
])('turned upright from EXIF orientation %i: row 0 is the %s, column 0 the %s', async (orientation, row, column) => {
  const turned = ['left', 'right'].includes(row);
  const [width, height] = turned ? [64, 96] : [96, 64];
  // Stored: bright towards row 0 in red, and towards column 0 in green.
  const stored = painted(width, height, (x, y) => [255 - (255 * y) / height, 255 - (255 * x) / width, 0]);
  const at = { top: [16, 1], bottom: [16, 30], left: [1, 16], right: [30, 16] } as Record<string, [number, number]>;
  for (const format of ['jpeg', 'tiff', 'webp', 'png'] as const) {
    const file = path(`orientation-${orientation}.${format}`);
    await stored.clone().withMetadata({ orientation }).toFormat(format, { quality: 95 }).toFile(file);
    const pixels = await decodeCentre(file, { imageSize: 32, resizeSize: 32 });
    for (const [channel, side] of [row, column].entries()) {
      const [x, y] = at[side]!;
      const bright = pixels[(y * 32 + x) * 3 + channel]!;
      const dark = pixels[((31 - y) * 32 + 31 - x) * 3 + channel]!;
      expect(bright - dark, `${format}: ${side}`).toBeGreaterThan(100);
    }
  }
});

describe('refused, with the reason', () => {
  test.each(REFUSED)('%s: %s', async (name, outcome) => {
    const sample = { file: odd(name), label: 0 };
    const [bad] = await checkImages([sample]);
    expect(bad?.reason).toMatch(/^[^\n]*[^\n.:]$/);
    expect(bad?.reason).toContain(outcome);
    const error = { code: 'IMAGE_UNREADABLE', message: expect.stringContaining(`${name} cannot be decoded: `) };
    await expect(decodeCentre(sample.file, TRANSFORM)).rejects.toMatchObject(error);
    await expect(decodeCentre(sample.file, TRANSFORM)).rejects.toThrow(outcome as string);
    for (const augment of [false, true]) {
      const options = { batchSize: 1, imageSize: 32, seed: 0, pass: 0, augment, shuffle: false };
      await expect(batches([sample], options).next()).rejects.toMatchObject(error);
    }
  });
});

describe('all of them in one folder', () => {
  const bad = () => REFUSED.map(([name]) => odd(name)).sort();

  test('check-data finds what training would stop at, for the same reasons', async () => {
    const { problems } = await checkData(path('data'));
    const found = problems.filter(({ code }) => code === 'IMAGE_UNREADABLE');
    expect(found.map(({ path }) => path).sort()).toEqual(bad());
    const { train } = await openDataset(path('data'));
    expect(found.map(({ path, message }) => ({ file: path, reason: message }))).toEqual(await checkImages(train));
  });

  test('stage one stops before it begins, or trains on the others', async () => {
    const options = {
      data: path('data'),
      graph: path('graph.onnx'),
      weights: 'none',
      device: 'cpu',
      threads: 1,
      passes: 1,
      batchSize: 8,
      out: path('head'),
    } as const;
    const { train, test: tested } = await openDataset(path('data'));
    const expected = badImagesError(await checkImages(train), train.length + tested.length);
    await expect(pretrain(options)).rejects.toMatchObject({ code: 'IMAGE_UNREADABLE', message: expected.message });
    const events: TrainingEvent[] = [];
    const result = await pretrain({ ...options, onBadImage: 'skip', onEvent: (event) => events.push(event) });
    const left = events.find((event) => event.type === 'bad-images');
    expect(left?.images.map(({ file }) => file).sort()).toEqual(bad());
    expect(result.history).toHaveLength(1);
    expect(events.find((event) => event.type === 'start')).toMatchObject({ trainSize: READ.length + 1 });
  });

  test('predict answers for each: with classes, or why not', async () => {
    const told = await collect(predict(path('data/train/odd'), { model: path('model.onnx'), threads: 1 }));
    expect(told.map(({ file }) => file).sort()).toEqual(ODD_PICTURES.map(([name]) => odd(name)).sort());
    const failed = told.flatMap((one) => ('error' in one ? [one.file] : []));
    expect(failed.sort()).toEqual(bad());
  });

  test('evaluate stops at one that is refused, and takes the others', async () => {
    const options = { model: path('model.onnx'), threads: 1 };
    await expect(evaluate({ ...options, data: path('data'), part: 'train' })).rejects.toMatchObject({
      code: 'IMAGE_UNREADABLE',
      message: expect.stringContaining(path('data/train/odd')),
    });
    const { pictures } = await evaluate({ ...options, data: path('whole') });
    expect(pictures).toBe(READ.length + 1);
  });
});
