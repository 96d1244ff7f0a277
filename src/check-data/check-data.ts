/** Looks a data set through before anything is trained on it. */
import { relative } from 'node:path';
import { type Dataset, lookThrough, type OpenOptions, openDataset } from '../data/index.ts';
import type { Sample } from '../data/sample.ts';
import { type Candidate, findDuplicates } from './duplicates.ts';
import { type Examined, examine, matchesExtension } from './examine.ts';
import {
  type CheckEvent,
  type DataProblem,
  type DataReport,
  type Extent,
  PARTS,
  type Part,
  type PartCounts,
  PROBLEM_CODES,
  type ProblemCode,
} from './types.ts';

/** Short sides in pixels; what is scaled to 256 from less than a quarter of it is a blur. */
const TINY = 64;
/** Training pictures of a class: fewer teach little of it. */
const FEW = 5;
/** Times that the largest class may outnumber the smallest. */
const IMBALANCE = 10;
const SHORT_SIDES = [0, 32, 64, 128, 256, 512, 1024];

/** How a data set is looked through: split and seed as `openDataset` takes them. */
export interface CheckDataOptions extends Pick<OpenOptions, 'split' | 'seed' | 'cacheFolder' | 'signal'> {
  /** Told how far it is. */
  readonly onEvent?: ((event: CheckEvent) => void) | undefined;
}

/**
 * Classes, counts, sizes and all problems of a data set: broken, tiny, plain or wrongly named pictures, duplicates and
 * near-duplicates within a part, across parts and across classes, few or unevenly many pictures of a class. Every picture
 * is decoded once, off the main thread. Nothing is written but an archive's pictures into the cache folder.
 *
 * @param path as for `openDataset`
 * @throws OrtuneError as `openDataset`, for what leaves no data set to look at; the signal's reason when it is aborted
 */
export async function checkData(path: string, options: CheckDataOptions = {}): Promise<DataReport> {
  const started = performance.now();
  const { onEvent, signal, ...open } = options;
  const progress = (task: CheckEvent['task']) => (done: number, total: number) =>
    onEvent?.({ type: 'progress', task, done, total });
  const dataset = await openDataset(path, { ...open, signal, onProgress: progress('archive') });
  const samples = PARTS.flatMap((part) => dataset[part].map((sample) => ({ ...sample, part })));
  const examined = await lookThrough(samples, {
    look: examine,
    isBad: ({ defect }) => defect !== undefined,
    onProgress: progress('pictures'),
    signal,
  });

  const candidates: Candidate[] = [];
  for (const [index, { file, label, part }] of samples.entries()) {
    const { digest, look } = examined[index] as Extract<Examined, { digest: string }>;
    if (digest !== undefined) candidates.push({ file, label, part, digest, look });
  }
  const nameOf = (file: string) => relative(dataset.root, file);
  const { classes } = dataset;
  const duplicates = await findDuplicates(candidates, { classes, nameOf, onProgress: progress('duplicates'), signal });
  const counts = countClasses(dataset);
  const problems = [
    ...samples.flatMap((sample, index) => pictureProblems(sample, examined[index]!)),
    ...duplicates,
    ...classProblems(dataset.root, counts),
    ...dataset.warnings.map((message) => problem('DATASET_NOTE', dataset.root, message)),
  ];
  problems.sort((a, b) => PROBLEM_CODES.indexOf(a.code) - PROBLEM_CODES.indexOf(b.code));
  return {
    root: dataset.root,
    kind: dataset.kind,
    split: dataset.split,
    parts: { train: dataset.train.length, valid: dataset.valid.length, test: dataset.test.length },
    classes: counts,
    ...describeSizes(examined),
    problems,
    seconds: (performance.now() - started) / 1000,
  };
}

function problem(code: ProblemCode, path: string, message: string): DataProblem {
  return { code, severity: code === 'IMAGE_UNREADABLE' ? 'error' : 'warning', path, related: [], message };
}

function pictureProblems({ file }: Sample, examined: Examined): DataProblem[] {
  if (examined.defect !== undefined) return [problem('IMAGE_UNREADABLE', file, examined.defect)];
  const { width, height, format, look } = examined;
  const problems: DataProblem[] = [];
  if (Math.min(width, height) < TINY) problems.push(problem('IMAGE_TINY', file, `${width} x ${height} pixels`));
  if (!look) problems.push(problem('IMAGE_PLAIN', file, 'about one colour all over'));
  if (!matchesExtension(file, format)) {
    problems.push(problem('EXTENSION_MISMATCH', file, `its content is ${format.toUpperCase()}`));
  }
  return problems;
}

function countClasses(dataset: Dataset): (PartCounts & { name: string })[] {
  const counts = dataset.classes.map((name) => ({ name, train: 0, valid: 0, test: 0 }));
  for (const part of PARTS) for (const { label } of dataset[part]) counts[label]![part satisfies Part]++;
  return counts;
}

function classProblems(root: string, classes: readonly (PartCounts & { name: string })[]): DataProblem[] {
  const problems: DataProblem[] = [];
  for (const { name, train, test } of classes) {
    const pictures = train === 1 ? 'picture' : 'pictures';
    if (train < FEW) problems.push(problem('CLASS_FEW', root, `class "${name}" has ${train} training ${pictures}`));
    if (test === 0) problems.push(problem('CLASS_UNTESTED', root, `class "${name}" has no test picture`));
  }
  const sorted = [...classes].sort((a, b) => a.train - b.train);
  const [least, most] = [sorted[0]!, sorted.at(-1)!];
  if (most.train > least.train * IMBALANCE) {
    const message = `class "${most.name}" has ${most.train} training pictures, class "${least.name}" ${least.train}`;
    problems.push(problem('CLASS_IMBALANCE', root, message));
  }
  return problems;
}

function describeSizes(examined: readonly Examined[]): Pick<DataReport, 'formats' | 'width' | 'height' | 'shortSides'> {
  const whole = examined.filter((one) => one.defect === undefined);
  const formats: Record<string, number> = {};
  for (const { format } of whole) formats[format] = (formats[format] ?? 0) + 1;
  const extent = (lengths: number[]): Extent | undefined => {
    lengths.sort((a, b) => a - b);
    const [min, median, max] = [lengths[0], lengths[lengths.length >> 1], lengths.at(-1)];
    return min === undefined ? undefined : { min, median: median!, max: max! };
  };
  const shortSides = SHORT_SIDES.map((from, index) => {
    const to = SHORT_SIDES[index + 1] ?? null;
    const within = (side: number) => side >= from && (to === null || side < to);
    return { from, to, count: whole.filter(({ width, height }) => within(Math.min(width, height))).length };
  });
  return {
    formats,
    width: extent(whole.map(({ width }) => width)),
    height: extent(whole.map(({ height }) => height)),
    shortSides,
  };
}
