import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { buildResNet, bytesOf, encodeModel, IMAGE, LOGITS } from '../../onnx/index.ts';
import { describePytorch, type NetworkOptions, pictures, pytorch, readWeights, withValues, zeros } from './pytorch.ts';

const PLAIN = { width: 1, strideIn: '3x3', classes: 11, imageSize: 64, inputNorm: 'imagenet' } as const;
const NETWORKS: Record<string, NetworkOptions> = {
  ResNet18: { ...PLAIN, depth: 18, seed: 1 },
  ResNet34: { ...PLAIN, depth: 34, seed: 2 },
  ResNet50: { ...PLAIN, depth: 50, seed: 3 },
  ResNet101: { ...PLAIN, depth: 101, seed: 4 },
  ResNet152: { ...PLAIN, depth: 152, seed: 5 },
  'ResNet18, half as wide': { ...PLAIN, depth: 18, width: 0.5, seed: 6 },
  'ResNet50, a quarter wide, whose first block needs no projection': { ...PLAIN, depth: 50, width: 0.25, seed: 7 },
  'ResNet50, half as wide, in the tutorial’s pixels': {
    ...PLAIN,
    depth: 50,
    width: 0.5,
    inputNorm: 'tutorial',
    seed: 8,
  },
  'ResNet50, stride in the 1x1, in Caffe’s pixels': {
    ...PLAIN,
    depth: 50,
    strideIn: '1x1',
    inputNorm: 'caffe',
    seed: 9,
  },
};
const COUNT = 4;
const IMAGES = pictures(COUNT, PLAIN.imageSize, 1);

/** Endings of the files with the first network's weights: one by the safetensors package, two by PyTorch. */
const ALL = ['.safetensors', '.pth', '.legacy.pth'];
/** Of each logit, and of the largest. Measured, beside float64: up to 2e-6, for ResNet101 5e-6, for ResNet152 1.2e-5. */
const TOLERANCE = 1e-4;

describePytorch('logits of torchvision’s networks', () => {
  let folder = '';
  let logits: Record<string, number[][]>;
  const files = (index: number, endings = ['.safetensors']) =>
    endings.map((ending) => join(folder, `${index}${ending}`));

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ortune-torchvision-'));
    const images = join(folder, 'images');
    await writeFile(images, IMAGES);
    const cases = Object.entries(NETWORKS).map(([name, network], index) => {
      return { name, network, weights: files(index, index === 0 ? ALL : undefined) };
    });
    logits = (await pytorch('forward', { images, cases }, folder)) as typeof logits;
  }, 300_000);
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it.each(Object.entries(NETWORKS).map(([name, network], index) => ({ name, network, index })))(
    '$name',
    async ({ name, network, index }) => {
      const model = buildResNet(network, zeros);
      const values = await readWeights(files(index)[0]!, model);
      const session = await InferenceSession.create(encodeModel(withValues(model, values)));
      const image = new Tensor('uint8', IMAGES, [COUNT, PLAIN.imageSize, PLAIN.imageSize, 3]);
      const actual = (await session.run({ [IMAGE]: image }, [LOGITS]))[LOGITS]!;
      await session.release();

      const expected = logits[name]!.flat();
      expect(actual.dims).toEqual([COUNT, PLAIN.classes]);
      const largest = Math.max(...expected.map(Math.abs));
      for (const [place, value] of expected.entries()) {
        const distance = Math.abs((actual.data[place] as number) - value);
        expect(distance, `logit ${place}: ${actual.data[place]} beside ${value}`).toBeLessThan(
          TOLERANCE * Math.min(1, largest),
        );
      }
      // Not all the same: the pictures and the classes are told apart.
      expect(Math.max(...expected) - Math.min(...expected)).toBeGreaterThan(0.5);
      expect(new Set(expected.map((value) => value.toFixed(4))).size).toBeGreaterThan(COUNT * PLAIN.classes - 8);
    },
  );

  it('are the same weights in each of PyTorch’s own files', async () => {
    const model = buildResNet(NETWORKS['ResNet18'], zeros);
    const [expected, ...others] = await Promise.all(files(0, ALL).map((path) => readWeights(path, model)));
    expect(expected!.size).toBe(102);
    for (const values of others) {
      const different = [...expected!].filter(
        ([name, data]) => Buffer.compare(bytesOf(data), bytesOf(values.get(name)!)) !== 0,
      );
      expect(different.map(([name]) => name)).toEqual([]);
    }
  });
});
