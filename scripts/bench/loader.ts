/**
 * How fast pictures come, with nothing else to do: first pass (decoding) and later ones (from the cache), plain and with
 * each augmentation. `npx tsx scripts/bench/loader.ts --data DIR [--image-size 128] [--pictures 1000]`
 */
import { parseArgs } from 'node:util';
import {
  type AugmentationOptions,
  checkAugmentation,
  drawMix,
  mixImages,
  readSquare,
} from '../../src/augment/index.ts';
import { DecodedCache } from '../../src/data/decoded-cache.ts';
import { imageTransform, openDataset } from '../../src/data/index.ts';
import { createLimiter, DECODERS } from '../../src/data/limiter.ts';

const RESIZED = { crop: {} } as const;
const CASES: readonly [name: string, options: AugmentationOptions][] = [
  ['plain crop, flip', {}],
  ['resized crop, flip', RESIZED],
  ['  and colour jitter', { ...RESIZED, colourJitter: { brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1 } }],
  ['  and TrivialAugment', { ...RESIZED, policy: 'trivial' }],
  ['  and RandAugment', { ...RESIZED, policy: 'rand' }],
  ['  and erasing', { ...RESIZED, erasing: 1 }],
  ['  and mixup', { ...RESIZED, mixup: 0.2 }],
  ['  and CutMix', { ...RESIZED, cutmix: 1 }],
];
const LATER_PASSES = 3;
const BATCH = 32;

const { values } = parseArgs({
  options: {
    data: { type: 'string' },
    'image-size': { type: 'string', default: '128' },
    pictures: { type: 'string', default: '1000' },
  },
});
if (values.data === undefined) throw new Error('--data: expected a folder of pictures');
const imageSize = Number(values['image-size']);
const samples = (await openDataset(values.data)).train.slice(0, Number(values.pictures));

console.log(
  `${samples.length} pictures, ${imageSize} x ${imageSize}, ${DECODERS} at a time; per second and per core (of processor time)\n`,
);
const columns = ['first pass', 'per core', 'later', 'per core', 'ms of a core'];
console.log(['augmentation'.padEnd(24), ...columns.map((name) => name.padStart(12))].join(' '));
for (const [name, options] of CASES) {
  await using cache = new DecodedCache();
  const augmentation = checkAugmentation(options);
  const first = await measure(() => onePass(cache, augmentation, 0));
  const later = await measure(async () => {
    for (let pass = 1; pass <= LATER_PASSES; pass++) await onePass(cache, augmentation, pass);
  });
  const figures = [
    samples.length / first.seconds,
    samples.length / first.core,
    (LATER_PASSES * samples.length) / later.seconds,
    (LATER_PASSES * samples.length) / later.core,
  ].map((rate) => rate.toFixed(0));
  const cost = ((1000 * later.core) / (LATER_PASSES * samples.length)).toFixed(2);
  console.log([name.padEnd(24), ...[...figures, cost].map((figure) => figure.padStart(12))].join(' '));
}

async function onePass(
  cache: DecodedCache,
  augmentation: ReturnType<typeof checkAugmentation>,
  pass: number,
): Promise<void> {
  const limit = createLimiter(DECODERS);
  const stride = imageSize * imageSize * 3;
  for (let start = 0; start < samples.length; start += BATCH) {
    const part = samples.slice(start, start + BATCH);
    const images = new Uint8Array(part.length * stride);
    await Promise.all(
      part.map((sample, place) =>
        limit(async () => {
          const training = { augmentation, draw: { seed: 0, pass, index: start + place } };
          images.set(
            await readSquare(sample, { cache, transform: imageTransform(imageSize), training }),
            place * stride,
          );
        }),
      ),
    );
    const mix = drawMix(augmentation, { seed: 0, pass, batch: start / BATCH }, imageSize);
    if (mix) mixImages(images, imageSize, mix);
  }
}

/** Seconds on the clock, and seconds of processor time of all threads. */
async function measure(work: () => Promise<void>): Promise<{ seconds: number; core: number }> {
  const before = process.cpuUsage();
  const started = performance.now();
  await work();
  const seconds = (performance.now() - started) / 1000;
  const { user, system } = process.cpuUsage(before);
  return { seconds, core: (user + system) / 1e6 };
}
