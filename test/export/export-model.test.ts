import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  buildResNet,
  decodeModel,
  encodeModel,
  extract,
  networkOf,
  PROBABILITIES,
  withActivationMaps,
} from '../../onnx/index.ts';
import { imageTransform, openDataset } from '../../src/data/index.ts';
import { type ExportOptions, type ExportRecord, exportModel } from '../../src/export/index.ts';
import {
  Classifier,
  evaluate,
  modelCard,
  readModelCard,
  withClassifierMetadata,
  withModelCard,
} from '../../src/inference/index.ts';
import type { TrainingEvent } from '../../src/training/index.ts';
import { runCommand } from '../cli/command.ts';
import { openWorkshop, snapshot, TINY, type Workshop } from '../training/workshop.ts';

const CLASSES = ['blue', 'green', 'red'];
const TRANSFORM = imageTransform(32);

let workshop: Workshop;
let model: string;
beforeAll(async () => {
  workshop = await openWorkshop();
  model = await writeModel('model');
});
afterAll(() => workshop.remove());

/** A served model in a folder of its own, with a card and the `run.json` that says what it was trained on. */
async function writeModel(name: string, root = workshop.data): Promise<string> {
  const dataset = await openDataset(workshop.data, { seed: 3, split: 'ratio:0.5' });
  const network = buildResNet(TINY);
  const served = withClassifierMetadata(withActivationMaps(extract(network, [], [PROBABILITIES])), {
    classes: CLASSES,
    transform: TRANSFORM,
  });
  const settings = { passes: 1, seed: 3, data: workshop.data };
  const described = networkOf(network)!;
  const facts = { network: described, dataset, splitSeed: 3, transform: TRANSFORM, settings, evaluation: undefined };
  const folder = workshop.path(name);
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'model.onnx'), encodeModel(withModelCard(served, modelCard(facts))));
  await writeFile(join(folder, 'run.json'), JSON.stringify({ dataset: { root, split: 'ratio:0.5', seed: 3 } }));
  return folder;
}

const read = async (file: string) => decodeModel(await readFile(file));
const fails = (options: Partial<ExportOptions>, code: string, message: string | RegExp) =>
  expect(exportModel({ model, precision: 'int8', threads: 1, ...options })).rejects.toMatchObject({
    code,
    message: expect.stringMatching(message),
  });

describe('an export', () => {
  it.each(['fp16', 'int8'] as const)(
    'in %s is written beside the model, with what it costs',
    async (precision) => {
      const events: TrainingEvent[] = [];
      const before = await snapshot(workshop.data);
      const record = await exportModel({ model, precision, threads: 1, onEvent: (event) => events.push(event) });
      const file = join(model, `model.${precision}.onnx`);
      expect(record).toMatchObject({ precision, file, from: { file: join(model, 'model.onnx') } });
      expect(record.bytes).toBe((await readFile(file)).byteLength);
      expect(record.bytes).toBeLessThan(record.from.bytes * (precision === 'fp16' ? 0.62 : 0.6));
      expect(JSON.parse(await readFile(join(model, `model.${precision}.json`), 'utf8'))).toEqual(record);
      expect(events.at(-1)).toEqual({ type: 'exported', record });
      const tasks = new Set(events.flatMap((event) => (event.type === 'progress' ? event.task : [])));
      expect([...tasks]).toEqual(precision === 'int8' ? ['calibrate', 'test'] : ['test']);

      // The figures are those that evaluating each file gives, on the model's own split.
      for (const [path, figures] of [
        [model, record.test?.before],
        [file, record.test?.after],
      ] as const) {
        const { top1, top5, meanPerClass, cost, pictures } = await evaluate({ model: path, data: workshop.data });
        expect(figures).toEqual({ top1, top5, meanPerClass, cost, pictures, flip: false });
      }
      expect(record.test?.data).toEqual({ root: workshop.data, split: 'ratio:0.5', seed: 3 });
      expect(record.test?.sameClass).toBeGreaterThan(0.8);
      expect(record.calibrated).toBe(precision === 'int8' ? 15 : 0);

      const { graph, metadata, description } = await read(file);
      expect(graph.inputs).toEqual((await read(join(model, 'model.onnx'))).graph.inputs);
      expect(graph.outputs).toEqual((await read(join(model, 'model.onnx'))).graph.outputs);
      expect(readModelCard(metadata)).toMatchObject({ precision, evaluation: record.test?.after });
      expect(description).toContain('ResNet50');
      expect(await snapshot(workshop.data)).toEqual(before);
      expect((await readdir(model)).filter((name) => name.startsWith('.'))).toEqual([]);
    },
    180_000,
  );

  it('is the same file when it is made again', async () => {
    const again = await exportModel({ model, precision: 'int8', out: workshop.path('again.onnx'), threads: 1 });
    const [one, other] = await Promise.all([join(model, 'model.int8.onnx'), again.file].map((file) => readFile(file)));
    expect(one?.equals(other!)).toBe(true);
  });

  it('in fp16 needs no data, and is not tested without', async () => {
    const alone = await writeModel('alone', workshop.path('gone'));
    const record = await exportModel({ model: alone, precision: 'fp16', threads: 1 });
    expect(record.test).toBeNull();
    expect(readModelCard((await read(record.file)).metadata)).toMatchObject({ precision: 'fp16', evaluation: null });
    await fails({ model: alone }, 'EXPORT_DATA', /run\.json names no data, or none that are there any more.*--data/);
  });

  it('on another split leaves the figures out of the card, whose data these are not', async () => {
    const out = workshop.path('split/model.onnx');
    const record = await exportModel({ model, precision: 'fp16', data: workshop.data, split: 'ratio:0.8', out });
    expect(record.test?.data.split).toBe('ratio:0.8');
    expect(readModelCard((await read(out)).metadata)?.evaluation).toBeNull();
  });

  it('serves as the model does', async () => {
    const file = join(model, 'model.int8.onnx');
    await using classifier = await Classifier.load(file, { threads: 1 });
    expect(classifier.classes).toEqual(CLASSES);
    expect(await classifier.predict(join(workshop.data, 'red/0.png'), { maps: true })).toHaveLength(3);
  });
});

describe('an export is refused', () => {
  it('of a model that is one', async () => {
    await fails({ model: join(model, 'model.int8.onnx') }, 'EXPORT_MODEL', /exported already \(.* is int8\)/);
    await fails({ model: join(model, 'model.fp16.onnx') }, 'EXPORT_MODEL', /exported already \(.* is float16\)/);
  });

  it('of what is no served model', async () => {
    await fails({ model: workshop.path('absent') }, 'MODEL_NOT_FOUND', /absent.*ENOENT/);
    await fails({ model: workshop.graph }, 'MODEL_INVALID', /graph\.onnx: expected a model written by/);
  });

  it('over the model, or into the data', async () => {
    await fails({ out: join(model, 'model.onnx') }, 'OPTION', /expected another file than the model itself/);
    await fails({ out: join(workshop.data, 'model.onnx') }, 'OUTPUT', /expected a file apart from the data/);
  });

  it('of no pictures, or none at a time', async () => {
    await fails({ pictures: 0 }, 'OPTION', /^pictures: expected a whole number from 1 up, received 0$/);
    await fails({ batchSize: 0 }, 'OPTION', /^batchSize: expected/);
  });

  it('by data of other classes', async () => {
    const other = workshop.path('other');
    for (const name of ['cat', 'dog', 'owl']) {
      await mkdir(join(other, name), { recursive: true });
      for (const file of ['0.png', '1.png']) await copyFile(join(workshop.data, 'red', file), join(other, name, file));
    }
    await fails({ data: other }, 'CLASSES', /expected the classes of .*model\.onnx, in their order/);
  });

  it('when it is stopped, leaving nothing', async () => {
    const stop = new AbortController();
    const out = workshop.path('stopped/model.onnx');
    const onEvent = (event: TrainingEvent) => event.type === 'progress' && event.task === 'test' && stop.abort();
    const stopped = exportModel({ model, precision: 'int8', out, threads: 1, onEvent, signal: stop.signal });
    await expect(stopped).rejects.toThrow(/abort/);
    expect(await readdir(dirname(out))).toEqual([]);
  });
});

describe('the command', () => {
  it('tells what the export costs', async () => {
    const out = workshop.path('command.onnx');
    const { code, stdout, stderr } = await runCommand(workshop.folder, 'export', [
      ...['--model', model, '--precision', 'int8', '--out', out, '--pictures', '8', '--threads', '1'],
    ]);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(
      /^command\.onnx \(int8\): top-1 \S+ % -> \S+ %, mean per class .* of 15 test pictures, file .* MB, speed x\d.*\nRanges from 8 training pictures\n$/,
    );
    const { precision }: ExportRecord = JSON.parse(await readFile(workshop.path('command.json'), 'utf8'));
    expect(precision).toBe('int8');
  });
});
