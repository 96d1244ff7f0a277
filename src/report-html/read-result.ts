import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { OrtuneError } from '../errors.ts';

const count = z.int().min(0);
const share = z.number().nullable();

const pass = z.object({
  pass: count,
  learningRate: z.number(),
  trainCost: z.number(),
  trainAccuracy: z.number(),
  testCost: z.number().optional(),
  testAccuracy: z.number().optional(),
  testTop5: z.number().optional(),
  testMeanPerClass: z.number().optional(),
  seconds: z.number(),
  dataWait: z.number(),
});

/** What of `run.json` is shown; there may be more, and older ones have less. */
const runFile = z.object({
  command: z.enum(['pretrain', 'finetune']),
  options: z.record(z.string(), z.unknown()),
  device: z.object({ device: z.string(), threads: z.number() }).loose(),
  network: z.record(z.string(), z.unknown()),
  dataset: z.object({
    kind: z.string(),
    root: z.string(),
    split: z.string(),
    seed: z.number().optional(),
    classes: count,
    train: count,
    valid: count,
    test: count,
  }),
  versions: z.record(z.string(), z.string()),
  git: z.object({ commit: z.string(), dirty: z.boolean() }).optional(),
  started: z.string(),
  seconds: z.number(),
  kept: count,
  rollbacks: z
    .array(z.object({ reason: z.string(), to: z.object({ pass: count, batches: count }).loose() }).loose())
    .optional(),
  history: z.array(pass),
});

const metricsFile = z.object({
  data: z.object({ root: z.string(), split: z.string(), part: z.string(), flip: z.boolean() }),
  pictures: count,
  notFinite: count,
  cost: share,
  top1: share,
  top5: share,
  meanPerClass: share,
  macro: z.object({ precision: share, recall: share, f1: share }),
  calibration: z.object({
    error: share,
    bins: z.array(z.object({ from: z.number(), to: z.number(), pictures: count, confidence: share, accuracy: share })),
  }),
  classes: z.array(
    z.object({
      name: z.string(),
      support: count,
      predicted: count,
      correct: count,
      precision: share,
      recall: share,
      f1: share,
    }),
  ),
  confusion: z.array(z.array(count)),
  mostConfused: z.array(z.object({ label: z.string(), predicted: z.string(), pictures: count, share: z.number() })),
  topLosses: z.array(
    z.object({
      picture: z.union([z.string(), z.number()]),
      label: z.string(),
      predicted: z.string(),
      probability: z.number(),
      confidence: z.number(),
      cost: z.number(),
    }),
  ),
});

export type Run = z.infer<typeof runFile>;
export type Pass = Run['history'][number];
export type Metrics = z.infer<typeof metricsFile>;

/** A training step: a row of `steps.csv`. */
export interface Step {
  readonly pass: number;
  readonly batch: number;
  readonly learningRate: number;
  readonly cost: number;
  readonly accuracy: number;
}

/** A result folder, as far as a report shows it. */
export interface Result {
  readonly run: Run;
  /** Not there when nothing was tested. */
  readonly metrics: Metrics | undefined;
  /** Empty where the run has no steps, or did not write them down. */
  readonly steps: readonly Step[];
  /** Whether it is a model to serve, and not one to train on. */
  readonly served: boolean;
}

/** @throws OrtuneError `RESULT_NOT_FOUND`, `RESULT_INVALID` */
export async function readResult(folder: string): Promise<Result> {
  const run = await readJson(join(folder, 'run.json'), runFile);
  if (!run) {
    throw new OrtuneError(
      'RESULT_NOT_FOUND',
      `${folder}: expected the folder of a result, with its run.json, found none. Name what pretrain or finetune wrote.`,
    );
  }
  const metrics = await readJson(join(folder, 'metrics.json'), metricsFile);
  const size = metrics?.classes.length;
  if (metrics && (metrics.confusion.length !== size || metrics.confusion.some((row) => row.length !== size))) {
    throw invalid(join(folder, 'metrics.json'), `confusion: expected ${size} rows of ${size} counts`);
  }
  const steps = await readSteps(join(folder, 'steps.csv'));
  return { run, metrics, steps, served: await exists(join(folder, 'model.onnx')) };
}

async function readJson<Schema extends z.ZodType>(path: string, schema: Schema) {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw invalid(path, (error as Error).message, error);
  }
  const read = schema.safeParse(value);
  if (read.success) return read.data;
  const { path: at, message } = read.error.issues[0]!;
  throw invalid(path, `${at.join('.')}: ${message}`, read.error);
}

/** Our own file, of numbers alone and up to a hundred thousand rows: a reader of any CSV would take ten times as long. */
async function readSteps(path: string): Promise<Step[]> {
  if (!(await exists(path))) return [];
  const steps: Step[] = [];
  let columns: string[] | undefined;
  for await (const line of createInterface({ input: createReadStream(path) })) {
    const cells = line.split(',');
    if (!columns) {
      columns = cells;
      continue;
    }
    const step: Record<string, number> = {};
    for (const [place, column] of columns.entries()) step[column] = cells[place] ? Number(cells[place]) : Number.NaN;
    if (!STEP_COLUMNS.every((column) => Number.isFinite(step[column]))) {
      throw invalid(path, `line ${steps.length + 2}: expected numbers for ${STEP_COLUMNS.join(', ')}, found ${line}`);
    }
    steps.push(step as unknown as Step);
  }
  return steps;
}

const STEP_COLUMNS = ['pass', 'batch', 'learningRate', 'cost', 'accuracy'] as const satisfies readonly (keyof Step)[];

const exists = async (path: string) => (await stat(path).catch(() => undefined))?.isFile() === true;

const invalid = (path: string, reason: string, cause?: unknown) =>
  new OrtuneError('RESULT_INVALID', `${path} cannot be read: ${reason}.`, { cause });
