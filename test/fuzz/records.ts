/** Readers of what ortune itself wrote beside models: results, the progress of a run, downloads. */
import { createHash } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeModel } from '../../onnx/index.ts';
import { readManifest } from '../../src/download/manifest.ts';
import { trainedOn } from '../../src/inference/evaluate.ts';
import { readModelFile } from '../../src/inference/model-file.ts';
import { Progress } from '../../src/progress/index.ts';
import type { Random } from '../../src/random.ts';
import { readResult } from '../../src/report-html/read-result.ts';
import type { PassRecord } from '../../src/training/pass-state.ts';
import { tinyNet } from '../onnx/tiny-nets.ts';
import { damageJson } from './json.ts';
import { damageText } from './mutate.ts';
import { fileOf, type Target } from './target.ts';

const history = [{ pass: 0, learningRate: 0.1, trainCost: 1, trainAccuracy: 0.5, seconds: 1, dataWait: 0.1 }];
const run = JSON.stringify({
  command: 'finetune',
  options: { seed: 1, split: 'official', passes: 2 },
  device: { device: 'cpu', threads: 2 },
  network: { depth: 18, width: 0.125 },
  dataset: { kind: 'folder', root: '/data', split: 'official', seed: 1, classes: 2, train: 4, valid: 0, test: 2 },
  versions: { ortune: '0.1.0' },
  started: '2026-01-01T00:00:00.000Z',
  seconds: 3,
  kept: 0,
  history,
  files: { 'model.onnx': { bytes: 1, sha256: 'ab' } },
});
const evaluation = {
  pictures: 2,
  notFinite: 0,
  cost: 0.5,
  top1: 0.5,
  top5: 1,
  meanPerClass: 0.5,
  macro: { precision: 0.5, recall: 0.5, f1: 0.5 },
  calibration: { error: 0.1, bins: [{ from: 0, to: 1, pictures: 2, confidence: 0.6, accuracy: 0.5 }] },
  classes: ['rose', 'tulip'].map((name) => ({
    name,
    ...{ support: 1, predicted: 1, correct: 0, precision: 0, recall: 0, f1: null },
  })),
  confusion: [
    [0, 1],
    [1, 0],
  ],
  mostConfused: [{ label: 'rose', predicted: 'tulip', pictures: 1, share: 1 }],
  topLosses: [{ picture: 'a.jpg', label: 'rose', predicted: 'tulip', probability: 0.1, confidence: 0.9, cost: 2 }],
};
const metrics = JSON.stringify({
  data: { root: '/data', split: 'official', part: 'test', flip: false },
  ...evaluation,
});
const steps = 'step,pass,batch,learningRate,cost,accuracy\n0,0,0,0.1,1.5,0.25\n1,0,1,0.1,1.25,0.5\n';

const fingerprint = { options: { passes: 2, batchSize: 2 }, data: 'ab' };
const record: PassRecord = {
  ...{ pass: 1, batches: 1, updates: 3, learningRate: 0.1, done: 2, trainedMs: 10, waitedMs: 1, ended: false },
  cost: [1, 2],
  accuracy: [1, 2],
  history,
  steps: [{ step: 0, pass: 0, batch: 0, learningRate: 0.1, cost: 1, accuracy: 0.5 }],
  progress: { best: { pass: 0, value: 0.5 }, waited: 0 },
  top: [],
  evaluation,
  rollbacks: [
    { pass: 0, batch: 1, learningRate: 0.1, reason: 'the loss is NaN', to: { pass: 0, batches: 0, steps: 0 } },
  ],
};
const BEST = Buffer.from(Float32Array.of(1, 2, 3).buffer);
const state = JSON.stringify({
  fingerprint,
  record,
  best: {
    kept: 0,
    values: [
      ['w', 8],
      ['b', 4],
    ],
    evaluation,
  },
});
const CHECKPOINT = Buffer.from('checkpoint');
const entryOf = (bytes: Uint8Array) => ({
  bytes: bytes.length,
  sha256: createHash('sha256').update(bytes).digest('hex'),
});
const manifestOf = (stateBytes: Uint8Array) =>
  JSON.stringify({ checkpoint: entryOf(CHECKPOINT), 'state.json': entryOf(stateBytes), 'best.bin': entryOf(BEST) });

/** Goes on from a record. A damaged one is passed over, so that there is none: that is told, as an error of its own. */
async function resume(folder: string, files: Readonly<Record<string, Uint8Array | string>>): Promise<void> {
  const kept = join(folder, 'out.progress', '000001');
  rmSync(join(folder, 'out.progress'), { recursive: true, force: true });
  mkdirSync(kept, { recursive: true });
  const all = { checkpoint: CHECKPOINT, 'best.bin': BEST, ...files };
  for (const [name, content] of Object.entries(all)) writeFileSync(join(kept, name), content);
  const options = { out: join(folder, 'out'), resume: true, every: 600, fingerprint, emit: () => {} };
  await using progress = await Progress.open(options);
  if (!progress.found) throw new Error('nothing was found, and nothing was said');
}

const model = encodeModel(tinyNet((layers, pixels) => layers.relu(pixels, 'a')));
const exported = JSON.stringify({ file: 'model.onnx', precision: 'fp16', ...entryOf(model) });

const downloads = JSON.stringify({
  files: {
    'a.tgz': { url: 'https://x.test/a.tgz', bytes: 1, md5: 'ab', sha256: 'cd', verified: true, date: '2026-01-01' },
  },
});

const resultOf = (name: string) => async (bytes: Uint8Array, folder: string) => {
  const whole = { 'run.json': run, 'metrics.json': metrics, 'steps.csv': steps };
  for (const [file, content] of Object.entries(whole)) writeFileSync(join(folder, file), content);
  fileOf(folder, name, bytes);
  await readResult(folder);
  if (name === 'run.json') await trainedOn(folder, '/data');
};

const json = (text: string) => (random: Random) => damageJson(random, text);

export const recordTargets: readonly Target[] = [
  { name: 'run.json', share: 1, sample: Buffer.from(run), damage: json(run), read: resultOf('run.json') },
  {
    name: 'metrics.json',
    share: 1,
    sample: Buffer.from(metrics),
    damage: json(metrics),
    read: resultOf('metrics.json'),
  },
  {
    name: 'steps.csv',
    share: 1,
    sample: Buffer.from(steps),
    damage: (random) =>
      Buffer.from(damageText(random, steps, [',', '\n', '__proto__', 'pass', '1e999', '-1', 'NaN', '"'])),
    read: resultOf('steps.csv'),
  },
  {
    name: 'state.json',
    share: 1,
    sample: Buffer.from(state),
    damage: json(state),
    read: (bytes, folder) => resume(folder, { 'state.json': bytes, 'manifest.json': manifestOf(bytes) }),
  },
  {
    name: 'manifest.json',
    share: 1,
    sample: Buffer.from(manifestOf(Buffer.from(state))),
    damage: json(manifestOf(Buffer.from(state))),
    read: (bytes, folder) => resume(folder, { 'state.json': state, 'manifest.json': bytes }),
  },
  {
    name: 'model.json',
    share: 1,
    sample: Buffer.from(exported),
    damage: json(exported),
    read: (bytes, folder) => {
      fileOf(folder, 'model.json', bytes);
      return readModelFile(fileOf(folder, 'model.onnx', model));
    },
  },
  {
    name: 'downloads.json',
    share: 1,
    sample: Buffer.from(downloads),
    damage: json(downloads),
    read: (bytes, folder) => readManifest(join(fileOf(folder, 'downloads.json', bytes), '..')),
  },
];
