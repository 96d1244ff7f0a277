import { rm, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { decodeModel, encodeModelChunks, type Model, quantisedTensors } from '../../onnx/index.ts';
import type { Sample } from '../data/index.ts';
import { OrtuneError } from '../errors.ts';
import {
  classifierMetadata,
  type ModelCard,
  readModelCard,
  readModelFile,
  sha256Of,
  type TestFigures,
  testFigures,
  withModelCard,
} from '../inference/index.ts';
import { isSystemError } from '../output-error.ts';
import { Random } from '../random.ts';
import { checkThreads } from '../threads.ts';
import type { Emit } from '../training/events.ts';
import { checkOutputFile } from '../training/output-folder.ts';
import { VERSION } from '../version.ts';
import { partialOf, writeFiles } from '../write-files.ts';
import { calibrate } from './calibrate.ts';
import { type CompareOptions, compare } from './compare.ts';
import { reduce } from './reduce.ts';
import { findTrainingData, type TrainingData } from './training-data.ts';

export const EXPORT_PRECISIONS = ['fp16', 'int8'] as const;

/** What is exported, how, and by which pictures it is tested. */
export interface ExportOptions {
  /** Folder that `finetune` wrote, or its `.onnx` file. */
  readonly model: string;
  /**
   * `fp16`: weights stored in half precision, half the file, arithmetic as before. `int8`: eight-bit integers throughout, a
   * quarter of the file and faster on processors.
   */
  readonly precision: (typeof EXPORT_PRECISIONS)[number];
  /** Folder or CSV file of the pictures; what the model was trained on by default. */
  readonly data?: string | undefined;
  /** The model's own by default, as its seed. */
  readonly split?: string | undefined;
  readonly seed?: number | undefined;
  /** Training pictures that the ranges of `int8` are taken from. Default 256. */
  readonly pictures?: number | undefined;
  /** File to write; beside the model by default, as `model.int8.onnx`. */
  readonly out?: string | undefined;
  /** Pictures computed at a time. Default 32. */
  readonly batchSize?: number | undefined;
  readonly threads?: number | undefined;
  readonly onEvent?: Emit | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What an export is and what it costs: the `.json` beside it. */
export interface ExportRecord {
  readonly precision: (typeof EXPORT_PRECISIONS)[number];
  /** Absolute paths, and sizes in bytes. */
  readonly file: string;
  readonly bytes: number;
  /** Of the file, by which a damaged one is known. */
  readonly sha256: string;
  readonly from: { readonly file: string; readonly bytes: number };
  /** Training pictures that ranges were taken from; 0 where none are needed. */
  readonly calibrated: number;
  /** On the test part; `null` where no data were found. `speedup`: the old model's time by the new one's. */
  readonly test: {
    readonly data: { readonly root: string; readonly split: string; readonly seed: number };
    readonly before: TestFigures;
    readonly after: TestFigures;
    readonly sameClass: number;
    readonly speedup: number;
  } | null;
  readonly versions: { readonly ortune: string; readonly node: string };
  readonly seconds: number;
}

export const EXPORT_DEFAULTS = { pictures: 256, batchSize: 32 } as const;

/**
 * Writes a fine-tuned model in a smaller form, and beside it, as JSON, what that costs on the test part. The model itself
 * stays as it is; what comes out takes the same pixels and gives the same outputs.
 *
 * @throws OrtuneError `EXPORT_MODEL` for a model that cannot be exported, `EXPORT_DATA` when `int8` has no pictures to be
 *   calibrated by, `EXPORT_RANGE`, `OPTION`, `OUTPUT`; as `Classifier.load` and `openDataset`
 */
export async function exportModel(options: ExportOptions): Promise<ExportRecord> {
  const started = performance.now();
  const { precision, split, seed, threads, signal } = options;
  const { pictures = EXPORT_DEFAULTS.pictures, batchSize = EXPORT_DEFAULTS.batchSize } = options;
  const progress = (task: 'calibrate' | 'test') => (done: number, total: number) =>
    options.onEvent?.({ type: 'progress', task, done, total });
  checkThreads(threads);
  for (const [name, value] of Object.entries({ pictures, batchSize })) {
    if (Number.isSafeInteger(value) && value >= 1) continue;
    throw new OrtuneError('OPTION', `${name}: expected a whole number from 1 up, received ${value}`);
  }
  const { file, model, bytes } = await open(options.model);
  const { classes, transform } = classifierMetadata(model.metadata, file);
  const out = resolve(options.out ?? file.replace(/(\.onnx)?$/, `.${precision}.onnx`));
  if (out === file) throw new OrtuneError('OPTION', `--out ${out}: expected another file than the model itself.`);
  const found = await findTrainingData({ file, data: options.data, split, seed, signal }, classes);
  await checkOutputFile('out', out, found?.dataset.root);

  const samples = precision === 'int8' ? calibrationSamples(found, file, pictures) : [];
  const reduced =
    precision === 'fp16'
      ? await reduce(file, { kind: 'half' })
      : await reduce(file, {
          kind: 'quantise',
          statistics: await calibrate(await reduce(file, { kind: 'statistics' }), {
            tensors: quantisedTensors(model.graph),
            samples,
            transform,
            threads,
            signal,
            onProgress: progress('calibrate'),
          }),
        });
  signal?.throwIfAborted();

  const onProgress = progress('test');
  const test = found && (await measure(found, file, { out, reduced, batchSize, threads, signal, onProgress }));
  const chunks = [...encodeModelChunks(withOwnCard(decodeModel(reduced), precision, found, test?.after))];
  const record: ExportRecord = {
    precision,
    file: out,
    bytes: chunks.reduce((sum, { byteLength }) => sum + byteLength, 0),
    sha256: await sha256Of(chunks),
    from: { file, bytes },
    calibrated: samples.length,
    test: test ?? null,
    versions: { ortune: VERSION, node: process.versions.node },
    seconds: (performance.now() - started) / 1000,
  };
  await writeFiles(dirname(out), {
    [out]: chunks,
    [out.replace(/(\.onnx)?$/, '.json')]: Buffer.from(`${JSON.stringify(record, undefined, 2)}\n`),
  });
  options.onEvent?.({ type: 'exported', record });
  return record;
}

/** @throws OrtuneError `MODEL_NOT_FOUND`, `MODEL_INVALID`, `ONNX_INVALID`, `EXPORT_MODEL` */
async function open(path: string): Promise<{ file: string; model: Model; bytes: number }> {
  const isFolder = (await stat(path).catch(() => undefined))?.isDirectory();
  const file = resolve(isFolder ? join(path, 'model.onnx') : path);
  const { model, bytes } = await readModelFile(file).catch((error: unknown) => {
    if (!isSystemError(error)) throw error;
    throw new OrtuneError(
      'MODEL_NOT_FOUND',
      `expected a fine-tuned model at ${file}, but it cannot be read (${error.code}). Make one with npx ortune finetune, or name another with --model.`,
    );
  });
  const { nodes, initializers } = model.graph;
  const small = [...initializers.values()].find(({ type }) => type === 'float16' || type === 'int8');
  const restored = nodes.find(({ op }) => op === 'DequantizeLinear');
  if (small || restored) {
    const found = small ? `${small.name} is ${small.type}` : `${restored?.name} dequantises`;
    throw new OrtuneError(
      'EXPORT_MODEL',
      `${file}: expected a model in float32, found one that is exported already (${found}). Export the model that it was made of.`,
    );
  }
  return { file, model, bytes };
}

function calibrationSamples(found: TrainingData | undefined, file: string, pictures: number): Sample[] {
  if (!found) {
    throw new OrtuneError(
      'EXPORT_DATA',
      `int8: expected pictures to take ranges from, but ${join(dirname(file), 'run.json')} names no data, or none that are there any more. Name them with --data.`,
    );
  }
  const { train } = found.dataset;
  const order = new Random(found.seed, 'calibration').permutation(train.length);
  return [...order.slice(0, pictures)].map((index) => train[index]!);
}

interface MeasureOptions extends Omit<CompareOptions, 'dataset'> {
  readonly out: string;
  readonly reduced: Uint8Array;
}

/** By a file beside the one to be, as models are served from files. */
async function measure(
  { dataset, seed }: TrainingData,
  file: string,
  { out, reduced, ...options }: MeasureOptions,
): Promise<NonNullable<ExportRecord['test']>> {
  const trial = partialOf(out);
  try {
    await writeFiles(dirname(out), { [trial]: reduced });
    const { before, after, sameClass, speedup } = await compare(file, trial, { dataset, ...options });
    return {
      data: { root: dataset.root, split: dataset.split, seed },
      before: testFigures(before, false),
      after: testFigures(after, false),
      sameClass,
      speedup,
    };
  } finally {
    await rm(trial, { force: true });
  }
}

/** The model's card with its own precision and figures; these only where the data are those that the card tells of. */
function withOwnCard(
  model: Model,
  precision: ExportOptions['precision'],
  found: TrainingData | undefined,
  figures: TestFigures | undefined,
): Model {
  const card: ModelCard | undefined = readModelCard(model.metadata);
  if (!card) return model;
  const { kind, split, seed, train, test } = card.trainingData;
  const same =
    found &&
    found.seed === seed &&
    found.dataset.kind === kind &&
    found.dataset.split === split &&
    found.dataset.train.length === train &&
    found.dataset.test.length === test;
  return withModelCard(model, { ...card, precision, evaluation: (same && figures) || null });
}
