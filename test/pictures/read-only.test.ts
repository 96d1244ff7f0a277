import { appendFileSync } from 'node:fs';
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { checkData } from '../../src/check-data/index.ts';
import { exportModel } from '../../src/export/index.ts';
import { fit as fitAll } from '../../src/fit/index.ts';
import { evaluate, predict } from '../../src/inference/index.ts';
import type { Recipe } from '../../src/recipes/index.ts';
import { finetune, pretrain } from '../../src/training/index.ts';
import { runCommand } from '../cli/command.ts';
import { collect } from '../data/fixtures.ts';
import { everythingOf } from '../everything-of.ts';
import { Disk, describeWithDisks } from '../mounts.ts';
import { jpegBytes } from './jpeg-bytes.ts';
import { pngBytes } from './png-bytes.ts';

const RECIPE: Recipe = {
  name: 'tiny',
  network: { width: 0.125, imageSize: 32 },
  pretrain: { passes: 1, batchSize: 4 },
  finetune: { passes: 1, batchSize: 4, learningRate: 1e-3 },
};

let folder: string;
let made: string;
const path = (...names: string[]) => join(folder, ...names);
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ortune-read-only-'));
  made = path('made');
  for (const part of ['train', 'test']) {
    for (const [index, label] of ['a', 'b'].entries()) {
      await mkdir(join(made, part, label), { recursive: true });
      for (let number = 0; number < 5; number++) {
        const components = [40 + 30 * number, 120 + 20 * index, part === 'train' ? 128 : 140];
        await writeFile(join(made, part, label, `${number}.jpg`), jpegBytes({ components }));
      }
    }
  }
  await writeFile(join(made, 'train/a/empty.jpg'), '');
  await writeFile(join(made, 'train/b/notes.txt'), 'not a picture');
  await writeFile(join(made, 'train/b/a-png.jpg'), await pngBytes());
  await symlink('/nowhere', join(made, 'train/b/gone.jpg'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Everything that reads pictures. */
async function doAll(data: string, out: string): Promise<void> {
  await mkdir(out);
  const { problems } = await checkData(data);
  expect(problems.filter(({ severity }) => severity === 'error')).toHaveLength(2);
  const common = { data, device: 'cpu', threads: 1, onBadImage: 'skip', passes: 1 } as const;
  const { folder: model } = await fitAll({ ...common, weights: 'none', recipe: RECIPE, out: join(out, 'fitted') });
  const stage = { ...common, batchSize: 4, augment: { crop: {}, policy: 'trivial' } } as const;
  const head = join(out, 'head');
  const graph = join(out, 'fitted/graph.onnx');
  await pretrain({ ...stage, graph, weights: 'none', batchNorm: 'live', out: head });
  await finetune({ ...stage, from: head, out: join(out, 'whole') });
  const told = await collect(predict(data, { model, threads: 1 }));
  expect(told).toHaveLength(23);
  expect(told.filter(({ file }) => !file.startsWith(data))).toEqual([]);
  expect((await evaluate({ model, data, threads: 1 })).pictures).toBe(10);
  await exportModel({ model, data, precision: 'int8', pictures: 2, out: join(out, 'small.onnx') });
  const args = ['--data', data, '--out', join(out, 'sheet.png'), '--pictures', '2', '--passes', '1', '--seed', '1'];
  expect(await runCommand(out, 'preview', args)).toMatchObject({ code: 0 });
}

// Where writing would succeed, and be seen.
test('in an ordinary folder nothing is written, whatever is done with the pictures', { timeout: 300_000 }, async () => {
  const before = await everythingOf(made);
  await doAll(made, path('results'));
  expect(await everythingOf(made)).toEqual(before);
});

// Where it would fail.
describeWithDisks('a read-only disk', () => {
  test('is enough for all that is done with pictures', { timeout: 300_000 }, async () => {
    using disk = new Disk(2 ** 22);
    const data = join(disk.path, 'data');
    await cp(made, data, { recursive: true, verbatimSymlinks: true });
    disk.writable = false;
    expect(() => appendFileSync(join(data, 'train/a/0.jpg'), '')).toThrow(/EROFS/);
    const before = await everythingOf(data);
    await doAll(data, path('results of the disk'));
    expect(await everythingOf(data)).toEqual(before);
  });
});
