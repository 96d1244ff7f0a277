import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp, { type Sharp } from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  ACTIVATION_MAPS,
  buildResNet,
  encodeModel,
  extract,
  type Model,
  PROBABILITIES,
  withActivationMaps,
} from '../../onnx/index.ts';
import { Classifier, type ClassProbability, withClassifierMetadata } from '../../src/inference/index.ts';

const CLASSES = ['Lilie', '薔薇', 'pink "primrose"'];
const served = withClassifierMetadata(
  extract(buildResNet({ width: 0.125, classes: 3, imageSize: 32, seed: 3 }), [], [PROBABILITIES]),
  { classes: CLASSES, transform: { imageSize: 32, resizeSize: 37 } },
);

let folder: string;
let classifier: Classifier;
const path = (name: string) => join(folder, name);
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ortune-classifier-'));
  await mkdir(path('model'));
  await writeFile(path('model/model.onnx'), encodeModel(served));
  classifier = await Classifier.load(path('model'), { threads: 1 });
});
afterAll(async () => {
  await classifier.dispose();
  await rm(folder, { recursive: true });
});

/** A picture with a gradient each way, so that turning or mirroring it is no small matter. */
function picture(width: number, height: number): Sharp {
  const pixels = Buffer.alloc(width * height * 3);
  for (let place = 0; place < width * height; place++) {
    const x = place % width;
    const y = Math.floor(place / width);
    pixels.set([(255 * x) / width, (255 * y) / height, x > y ? 220 : 30], place * 3);
  }
  return sharp(pixels, { raw: { width, height, channels: 3 } });
}

/** Probabilities in the order of the classes. */
const inOrder = (predictions: readonly ClassProbability[]) =>
  CLASSES.map((name) => predictions.find(({ label }) => label === name)?.probability as number);

async function expectSame(left: string | Uint8Array, right: string | Uint8Array, digits: number): Promise<void> {
  const [one, other] = await Promise.all(
    [left, right].map(async (source) => inOrder(await classifier.predict(source))),
  );
  for (const [index, probability] of (one as number[]).entries()) {
    expect(probability).toBeCloseTo(other?.[index] as number, digits);
  }
}

describe('predictions', () => {
  it('name the classes, best first, and sum to 1', async () => {
    const all = await classifier.predict(await picture(60, 40).png().toBuffer());
    expect(all.map(({ label }) => label).sort()).toEqual([...CLASSES].sort());
    const probabilities = all.map(({ probability }) => probability);
    expect(probabilities).toEqual([...probabilities].sort((left, right) => right - left));
    expect(probabilities.reduce((sum, value) => sum + value, 0)).toBeCloseTo(1, 5);
    expect(await classifier.predict(await picture(60, 40).png().toBuffer(), { top: 1 })).toEqual(all.slice(0, 1));
  });

  it('are the same from a path and from bytes', async () => {
    await picture(60, 40).png().toFile(path('a.png'));
    await expectSame(path('a.png'), await readFile(path('a.png')), 12);
  });

  it('see a greyscale picture as its grey in colour', async () => {
    const grey = await picture(60, 40).toColourspace('b-w').png().toBuffer();
    expect((await sharp(grey).metadata()).channels).toBe(1);
    await expectSame(grey, await sharp(grey).toColourspace('srgb').png().toBuffer(), 6);
  });

  it('see a CMYK picture in its colours', async () => {
    const cmyk = await picture(60, 40).toColourspace('cmyk').jpeg({ quality: 100 }).toBuffer();
    expect((await sharp(cmyk).metadata()).space).toBe('cmyk');
    await expectSame(cmyk, await sharp(cmyk).toColourspace('srgb').png().toBuffer(), 2);
  });

  it('see a picture upright that its camera noted to be turned', async () => {
    const jpeg = await picture(60, 40).jpeg({ quality: 100, chromaSubsampling: '4:4:4' }).toBuffer();
    const noted = await sharp(jpeg).keepMetadata().withMetadata({ orientation: 6 }).jpeg({ quality: 100 }).toBuffer();
    const upright = await sharp(await sharp(noted).png().toBuffer())
      .rotate(90)
      .png()
      .toBuffer();
    expect((await sharp(noted).metadata()).orientation).toBe(6);
    await expectSame(noted, upright, 4);
    // The same pixels as they lie are another picture to the network.
    const [turned, lying] = [
      await classifier.predict(noted),
      await classifier.predict(await sharp(noted).png().toBuffer()),
    ];
    const gaps = inOrder(turned).map((value, index) => Math.abs(value - (inOrder(lying)[index] as number)));
    expect(Math.max(...gaps)).toBeGreaterThan(1e-3);
  });

  it('of a broken picture name it', async () => {
    await writeFile(path('broken.jpg'), 'no picture');
    await expect(classifier.predict(path('broken.jpg'))).rejects.toMatchObject({
      code: 'IMAGE_UNREADABLE',
      message: expect.stringContaining(path('broken.jpg')),
    });
    await expect(classifier.predict(new Uint8Array())).rejects.toThrow('The picture cannot be decoded');
  });
});

describe('class-activation maps', () => {
  it('come with each class that is named, where they are asked for', async () => {
    const network = withActivationMaps(buildResNet({ width: 0.125, classes: 3, imageSize: 96, seed: 3 }));
    const mapped = withClassifierMetadata(extract(network, [], [PROBABILITIES, ACTIVATION_MAPS]), {
      classes: CLASSES,
      transform: { imageSize: 96, resizeSize: 110 },
    });
    await writeFile(path('mapped.onnx'), encodeModel(mapped));
    await using other = await Classifier.load(path('mapped.onnx'), { threads: 1 });
    expect(other.mapSize).toEqual({ height: 3, width: 3 });
    const bytes = await picture(60, 40).png().toBuffer();
    const without = await other.predict(bytes);
    expect(without.every((one) => !('map' in one))).toBe(true);
    const predictions = await other.predict(bytes, { maps: true, top: 2 });
    expect(predictions.map(({ label }) => label)).toEqual(without.slice(0, 2).map(({ label }) => label));
    // The new head has no bias: a map's mean is the logit, and their difference the logarithm of the ratio.
    const means = predictions.map(({ map }) => {
      expect(map).toMatchObject({ height: 3, width: 3 });
      return (map?.values.reduce((sum, value) => sum + value, 0) as number) / 9;
    });
    const [first, second] = predictions;
    expect(means[0]! - means[1]!).toBeCloseTo(Math.log(first!.probability / second!.probability), 3);
  });

  it('are refused by a model that gives none, with what to do', async () => {
    expect(classifier.mapSize).toBeUndefined();
    await expect(classifier.predict(await picture(60, 40).png().toBuffer(), { maps: true })).rejects.toMatchObject({
      code: 'MAPS_UNAVAILABLE',
      message: expect.stringContaining('finetune'),
    });
  });
});

describe('loading', () => {
  it('takes the file itself, too', async () => {
    await using fromFile = await Classifier.load(path('model/model.onnx'));
    expect(fromFile.classes).toEqual(CLASSES);
    expect(fromFile.transform).toEqual({ imageSize: 32, resizeSize: 37 });
  });

  it('of a folder that is not there, or holds no model, says what to do', async () => {
    await expect(Classifier.load(path('nowhere'))).rejects.toMatchObject({
      code: 'MODEL_NOT_FOUND',
      message: expect.stringMatching(/nowhere.*npx ortune finetune.*--model/),
    });
    await mkdir(path('bare'));
    await expect(Classifier.load(path('bare'))).rejects.toThrow(path('bare/model.onnx'));
  });

  const metadata = (changes: Record<string, string>): Model => ({
    ...served,
    metadata: new Map([...served.metadata, ...Object.entries(changes)]),
  });
  it.each([
    ['no metadata', { ...served, metadata: new Map() }, /lack ortune\.labels, ortune\.resize, ortune\.crop/],
    ['labels that are no JSON', metadata({ 'ortune.labels': 'rose, tulip' }), /ortune\.labels: expected a JSON array/],
    ['labels that are no names', metadata({ 'ortune.labels': '[1, 2, 3]' }), /ortune\.labels: expected a JSON array/],
    [
      'a side that is none',
      metadata({ 'ortune.crop': 'large' }),
      /ortune\.crop: expected a side in pixels, received large/,
    ],
  ])('of a model with %s is refused', async (_, model, message) => {
    await writeFile(path('other.onnx'), encodeModel(model));
    const error = await Classifier.load(path('other.onnx')).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'MODEL_INVALID', message: expect.stringMatching(message) });
    expect((error as Error).message).toContain(path('other.onnx'));
  });
});
