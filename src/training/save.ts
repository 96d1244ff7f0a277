import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Dataset } from '../data/index.ts';
import { digestFile } from '../digest-file.ts';
import { type EvaluationResult, historyCsv } from '../metrics/index.ts';
import { Runtime } from '../runtime/index.ts';
import { VERSION } from '../version.ts';
import type { StepRecord } from './events.ts';
import { gitState } from './git-state.ts';
import { RUN_FILE } from './output-folder.ts';
import type { Rollback } from './pass-state.ts';
import type { PassResult } from './passes.ts';

export const LABELS_FILE = 'labels.json';

/** What a run was: enough to repeat it. */
export interface RunRecord {
  readonly command: 'pretrain' | 'finetune';
  readonly options: Readonly<Record<string, unknown>>;
  /** Where it was trained, and on how many threads. */
  readonly device: { readonly device: 'cpu' | 'cuda'; readonly threads: number };
  readonly network: unknown;
  readonly dataset: Dataset;
  /** Seed that its split was drawn by. */
  readonly splitSeed: number;
  readonly history: readonly PassResult[];
  readonly steps: readonly StepRecord[];
  /** Returns to earlier states on the way. */
  readonly rollbacks: readonly Rollback[];
  /** Number of the pass that the result is. */
  readonly kept: number;
  /** Its test. */
  readonly evaluation: EvaluationResult | undefined;
  readonly started: Date;
}

/**
 * Writes `labels.json` (class names in the order of the output), `run.json` (options, versions, results, and checksums of
 * what is in the folder already: the models), `history.csv` (a row for each pass), `steps.csv` (a row for each training
 * step) and, where there was a test, `metrics.json`.
 */
export async function saveRecord(folder: string, record: RunRecord): Promise<void> {
  const { command, options, device, network, kept, dataset, splitSeed, started, history, steps, evaluation } = record;
  const { rollbacks } = record;
  const versions = { ortune: VERSION, node: process.versions.node, onnxruntime: Runtime.load().version };
  const { kind, root, split, classes, train, valid, test } = dataset;
  const data = {
    kind,
    root,
    split,
    seed: splitSeed,
    classes: classes.length,
    train: train.length,
    valid: valid.length,
    test: test.length,
  };
  const files: Record<string, { bytes: number; sha256: string }> = {};
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (entry.isFile()) files[entry.name] = await digestFile(join(folder, entry.name), ['sha256']);
  }
  const git = await gitState('.');
  const seconds = (Date.now() - started.getTime()) / 1000;
  const run = {
    command,
    options,
    device,
    network,
    dataset: data,
    versions,
    ...(git && { git }),
    started: started.toISOString(),
    seconds,
    kept,
    ...(rollbacks.length > 0 && { rollbacks }),
    history,
    files,
  };
  const json = (name: string, value: unknown) =>
    writeFile(join(folder, name), `${JSON.stringify(value, undefined, 2)}\n`);
  await json(LABELS_FILE, classes);
  await json(RUN_FILE, run);
  await writeFile(join(folder, 'history.csv'), historyCsv(history.map((pass) => ({ ...pass }))));
  if (steps.length > 0) await writeFile(join(folder, 'steps.csv'), historyCsv(steps.map((step) => ({ ...step }))));
  const tested = { root, split, part: 'test', flip: options['testFlip'] === true };
  if (evaluation) await json('metrics.json', { data: tested, ...evaluation });
}
