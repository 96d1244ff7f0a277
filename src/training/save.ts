import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Dataset } from '../data/index.ts';
import { Runtime } from '../runtime/index.ts';
import { VERSION } from '../version.ts';
import { RUN_FILE } from './output-folder.ts';
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
  readonly history: readonly PassResult[];
  readonly started: Date;
}

/** Writes `labels.json` (class names in the order of the output) and `run.json` (options, versions, results). */
export async function saveRecord(folder: string, record: RunRecord): Promise<void> {
  const { dataset, started, history, ...rest } = record;
  const versions = { ortune: VERSION, node: process.versions.node, onnxruntime: Runtime.load().version };
  const { kind, root, split, classes, train, valid, test } = dataset;
  const data = {
    kind,
    root,
    split,
    classes: classes.length,
    train: train.length,
    valid: valid.length,
    test: test.length,
  };
  const seconds = (Date.now() - started.getTime()) / 1000;
  const run = { ...rest, dataset: data, versions, started: started.toISOString(), seconds, history };
  await writeFile(join(folder, LABELS_FILE), `${JSON.stringify(classes, undefined, 2)}\n`);
  await writeFile(join(folder, RUN_FILE), `${JSON.stringify(run, undefined, 2)}\n`);
}
