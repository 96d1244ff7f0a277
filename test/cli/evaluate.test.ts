import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildResNet, encodeModel, extract, PROBABILITIES } from '../../onnx/index.ts';
import { Classifier, type ModelEvaluation, withClassifierMetadata } from '../../src/inference/index.ts';
import { runCommand } from './command.ts';

const CLASSES = ['blue', 'green', 'red'];
// Other sizes than a training crop of 32 would have: the model's own count.
const transform = { imageSize: 32, resizeSize: 45 };
const served = withClassifierMetadata(
  extract(buildResNet({ width: 0.125, classes: 3, imageSize: 32, seed: 3 }), [], [PROBABILITIES]),
  { classes: CLASSES, transform },
);

let folder: string;
const path = (name: string) => join(folder, name);
const evaluate = (...args: string[]) => runCommand(folder, 'evaluate', args);
const figures = async (model: string, ...args: string[]): Promise<ModelEvaluation> =>
  JSON.parse((await evaluate('--model', model, '--data', 'data', '--json', '--threads', '1', ...args)).stdout);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ortune-evaluate-'));
  await mkdir(path('model'));
  await writeFile(path('model/model.onnx'), encodeModel(served));
  for (const [part, count] of [
    ['train', 2],
    ['test', 5],
  ] as const) {
    for (const [channel, name] of CLASSES.entries()) {
      await mkdir(path(`data/${part}/${name}`), { recursive: true });
      for (let index = 0; index < count; index++) {
        const pixels = Buffer.alloc(60 * 50 * 3, 20 * index);
        for (let place = 2 - channel; place < pixels.length; place += 3) pixels[place] = (place / (7 + index)) % 256;
        await sharp(pixels, { raw: { width: 60, height: 50, channels: 3 } })
          .png()
          .toFile(path(`data/${part}/${name}/${index}.png`));
      }
    }
  }
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** What the classifier says of every picture of a part, one by one; mirrored too where asked. */
async function oneByOne(part: string, flip: boolean) {
  await using classifier = await Classifier.load(path('model'), { threads: 1 });
  const rows: { label: string; predicted: string; cost: number }[] = [];
  for (const label of CLASSES) {
    for (const file of await readdir(path(`data/${part}/${label}`))) {
      const picture = path(`data/${part}/${label}/${file}`);
      const sources = flip ? [picture, await sharp(picture).flop().png().toBuffer()] : [picture];
      const sums = new Map<string, number>();
      for (const source of sources) {
        for (const { label: name, probability } of await classifier.predict(source)) {
          sums.set(name, (sums.get(name) ?? 0) + probability / sources.length);
        }
      }
      const [[predicted]] = [...sums].sort((a, b) => b[1] - a[1]) as [[string, number]];
      rows.push({ label, predicted, cost: -Math.log(sums.get(label) as number) });
    }
  }
  const confusion = CLASSES.map((label) =>
    CLASSES.map((predicted) => rows.filter((row) => row.label === label && row.predicted === predicted).length),
  );
  return { confusion, cost: rows.reduce((sum, { cost }) => sum + cost / rows.length, 0) };
}

describe('the figures', () => {
  it.each([
    ['test', [], false],
    ['test', ['--flip', '--batch-size', '4'], true],
    ['train', ['--part', 'train', '--batch-size', '1'], false],
  ] as const)('of the %s part with %j are those of the pictures one by one', async (part, flags, flip) => {
    const result = await figures('model', ...flags);
    const expected = await oneByOne(part, flip);
    expect(result.confusion).toEqual(expected.confusion);
    expect(result.cost).toBeCloseTo(expected.cost, 5);
    expect(result.data).toEqual({ root: path('data'), split: 'folders', part, flip });
    expect(result).toMatchObject({ pictures: part === 'test' ? 15 : 6, notFinite: 0 });
    expect(result.topLosses[0]?.picture).toMatch(new RegExp(`^${part}/(blue|green|red)/\\d\\.png$`));
  });

  it('go into a file, and as a table to the terminal', async () => {
    const { code, stdout, stderr } = await evaluate(
      '--model',
      'model',
      '--data',
      'data',
      '--out',
      'results/metrics.json',
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('split folders, test part\n15 pictures of 3 classes\n  top-1');
    expect(stdout).toContain('Saved: results/metrics.json');
    expect(JSON.parse(await readFile(path('results/metrics.json'), 'utf8'))).toEqual(await figures('model'));
    expect(await readdir(path('results'))).toEqual(['metrics.json']);
  });
});

describe('without --split', () => {
  it("the model's own split and seed are taken for the data that it was trained on", async () => {
    await cp(path('model'), path('trained'), { recursive: true });
    const run = { options: { seed: 7 }, dataset: { root: path('data'), split: 'ratio:0.5' } };
    await writeFile(path('trained/run.json'), JSON.stringify(run));
    const [own, asked] = [await figures('trained'), await figures('model', '--split', 'ratio:0.5', '--seed', '7')];
    expect(own).toEqual(asked);
    expect(own.data.split).toBe('ratio:0.5');
    await writeFile(
      path('trained/run.json'),
      JSON.stringify({ ...run, dataset: { root: '/other', split: 'tutorial' } }),
    );
    expect((await figures('trained')).data.split).toBe('folders');
  });
});

describe('refuses', () => {
  const refused = async (args: string[], message: RegExp) => {
    const { code, stdout, stderr } = await evaluate('--model', 'model', '--out', 'none.json', ...args);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(message);
    expect(stderr).not.toContain('    at ');
    expect(await readdir(folder)).not.toContain('none.json');
  };

  it('data of other classes', async () => {
    await cp(path('data'), path('renamed'), { recursive: true });
    for (const part of ['train', 'test']) {
      await cp(path(`data/${part}/red`), path(`renamed/${part}/crimson`), { recursive: true });
      await rm(path(`renamed/${part}/red`), { recursive: true });
    }
    // In the order of names, crimson comes before green.
    await refused(
      ['--data', 'renamed'],
      /^Error: renamed: expected the classes of model, .*class 1 is "crimson" where the model has "green"/,
    );
    await cp(path('data/train/red'), path('renamed/train/other'), { recursive: true });
    await refused(['--data', 'renamed'], /expected the classes of model, in their order, 3 of them, found 4/);
  });

  it('a part without pictures', () => refused(['--data', 'data', '--part', 'valid'], /its part "valid" has none/));

  it('a picture that cannot be decoded, by its name, writing nothing', async () => {
    await cp(path('data'), path('broken'), { recursive: true });
    await writeFile(path('broken/test/red/4.png'), 'no picture');
    await refused(['--data', 'broken'], /broken\/test\/red\/4\.png cannot be decoded/);
  });

  it.each([
    [['--batch-size', '0'], /--batch-size: expected a whole number from 1 up, received 0/],
    [['--part', 'all'], /part/],
    [['--split', 'tutorial'], /Unknown split "tutorial"/],
  ])('%j', (args, message) => refused(['--data', 'data', ...args], message));
});
