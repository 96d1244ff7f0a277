import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { buildResNet, encodeModel, type ResNetOptions } from '../../onnx/index.ts';
import { imageTransform } from '../../src/data/index.ts';
import type { FeedBatch } from '../../src/training/batch-source.ts';
import { FINETUNE_DEFAULTS, type FinetuneOptions, type PretrainOptions } from '../../src/training/options.ts';
import type { PassOptions } from '../../src/training/passes.ts';
import type { PictureSourceOptions } from '../../src/training/picture-source.ts';
import { Requests } from '../../src/training/run.ts';

/** A ResNet50 thin enough to train within a test. */
export const TINY: Partial<ResNetOptions> = { width: 0.125, imageSize: 32, classes: 3, seed: 1 };

/** A folder for one test file, with a data set and a network in it. */
export interface Workshop {
  readonly folder: string;
  readonly data: string;
  readonly graph: string;
  path(name: string): string;
  /** A small run on its data, in one thread. */
  stageOne(out: string): PretrainOptions;
  /** The same on what stage one left in `one`. */
  stageTwo(out: string): FinetuneOptions;
  remove(): Promise<void>;
}

export async function openWorkshop(): Promise<Workshop> {
  const folder = await mkdtemp(join(tmpdir(), 'ortune-training-'));
  const path = (name: string) => join(folder, name);
  const run = (out: string) =>
    ({ data: path('data'), device: 'cpu', threads: 1, passes: 3, batchSize: 6, out }) as const;
  await drawStripes(path('data'), 10);
  await writeFile(path('graph.onnx'), encodeModel(buildResNet(TINY)));
  return {
    folder,
    data: path('data'),
    graph: path('graph.onnx'),
    path,
    stageOne: (out) => ({ ...run(out), graph: path('graph.onnx'), weights: 'none' }),
    stageTwo: (out) => ({ ...run(out), from: path('one') }),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

/** Three classes that a network tells apart easily: one colour each, of varying strength. */
async function drawStripes(folder: string, perClass: number): Promise<void> {
  for (const [channel, name] of ['blue', 'green', 'red'].entries()) {
    await mkdir(join(folder, name), { recursive: true });
    for (let index = 0; index < perClass; index++) {
      const pixels = Buffer.alloc(48 * 40 * 3, 30);
      for (let place = 2 - channel; place < pixels.length; place += 3)
        pixels[place] = 120 + ((index * 13 + place) % 120);
      const file = join(folder, name, `${index}.png`);
      await sharp(pixels, { raw: { width: 48, height: 40, channels: 3 } })
        .png()
        .toFile(file);
    }
  }
}

/** Every file below a folder with its SHA-256, to see that nothing changed. */
export async function snapshot(folder: string): Promise<Map<string, string>> {
  const files = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = files.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return new Map(
    await Promise.all(
      paths.sort().map(
        async (path) =>
          [
            path,
            createHash('sha256')
              .update(await readFile(path))
              .digest('hex'),
          ] as const,
      ),
    ),
  );
}

/** How passes go unless a test says otherwise. */
export function passOptions(changes: Partial<PassOptions> & Pick<PassOptions, 'classes'>): PassOptions {
  return {
    ...FINETUNE_DEFAULTS,
    values: async () => new Map(),
    requests: new Requests(),
    save: async () => {},
    emit: () => {},
    ...changes,
  };
}

/** How pictures come unless a test says otherwise: as in testing, 32 pixels wide. */
export function pictureOptions(changes: Partial<PictureSourceOptions>): PictureSourceOptions {
  return {
    imageSize: 32,
    testTransform: imageTransform(32),
    testFlip: false,
    batchSize: 4,
    seed: 0,
    augment: false,
    shuffle: true,
    liveBatchNorm: true,
    constantShape: false,
    ...changes,
  };
}

/** All of some batches. How long they took is not theirs. */
export async function collect(batches: AsyncIterable<FeedBatch>): Promise<FeedBatch[]> {
  const found: FeedBatch[] = [];
  for await (const batch of batches) found.push({ ...batch, waitMs: 0 });
  return found;
}
