import { InferenceSession, Tensor } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { buildResNet, encodeModel, extract, type InputNormalisationName, PIXELS } from '../../onnx/index.ts';
import { Random } from '../../src/random.ts';

const SIDE = 32;
const BATCH = 2;
const random = new Random(5, 'pixels');
/** [batch, height, width, RGB] */
const image = Uint8Array.from({ length: BATCH * SIDE * SIDE * 3 }, () => random.integer(256));
// Black and white, whose results are known by heart.
image.set([0, 0, 0, 255, 255, 255]);

async function pixelsOf(inputNorm: InputNormalisationName): Promise<Float32Array> {
  const model = buildResNet({ width: 0.125, imageSize: SIDE, inputNorm });
  const part = extract(model, [], [PIXELS]);
  const session = await InferenceSession.create(encodeModel(part));
  const { [PIXELS]: pixels } = await session.run({ image: new Tensor('uint8', image, [BATCH, SIDE, SIDE, 3]) });
  expect(pixels?.dims).toEqual([BATCH, 3, SIDE, SIDE]);
  return pixels?.data as Float32Array;
}

type Formula = (red: number, green: number, blue: number) => [number, number, number];

const formulas: Record<InputNormalisationName, Formula> = {
  imagenet: (r, g, b) => [(r / 255 - 0.485) / 0.229, (g / 255 - 0.456) / 0.224, (b / 255 - 0.406) / 0.225],
  caffe: (r, g, b) => [b - 104, g - 117, r - 123],
  tutorial: (r, g, b) => [b - 103.94, g - 116.78, r - 123.68],
};

describe('the normalisation of pixels in the graph', () => {
  it.each(Object.entries(formulas))('%s is its formula at every place', async (name, formula) => {
    const pixels = await pixelsOf(name as InputNormalisationName);
    let worst = 0;
    for (let place = 0; place < BATCH * SIDE * SIDE; place++) {
      const [red, green, blue] = image.subarray(place * 3) as unknown as [number, number, number];
      const start = Math.floor(place / SIDE ** 2) * 3 * SIDE ** 2 + (place % SIDE ** 2);
      for (const [plane, value] of formula(red, green, blue).entries()) {
        worst = Math.max(worst, Math.abs(pixels[start + plane * SIDE ** 2]! - value));
      }
    }
    // float32 at the scale of the result: 2.6 or 152.
    expect(worst).toBeLessThan(name === 'imagenet' ? 1e-6 : 2e-5);
  });

  it('imagenet takes black to -2.118, -2.036, -1.804 and white to 2.249, 2.429, 2.640, as torchvision does', async () => {
    const pixels = await pixelsOf('imagenet');
    const at = (place: number) => [0, 1, 2].map((plane) => Number(pixels[plane * SIDE ** 2 + place]?.toFixed(3)));
    expect(at(0)).toEqual([-2.118, -2.036, -1.804]);
    expect(at(1)).toEqual([2.249, 2.429, 2.64]);
  });
});
