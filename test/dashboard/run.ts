import type { Dataset } from '../../src/data/index.ts';
import type { TrainingEvent } from '../../src/training/index.ts';

/** A data set whose pictures nobody reads. */
export const dataset: Dataset = {
  kind: 'folder',
  root: '/somewhere/<b>flowers</b>',
  classes: ['daisy', 'rose'],
  split: 'ratio:0.8',
  train: Array.from({ length: 64 }, (_, index) => ({ file: `${index}.jpg`, label: index % 2 })),
  valid: [],
  test: Array.from({ length: 16 }, (_, index) => ({ file: `${index}.jpg`, label: index % 2 })),
  warnings: [],
};

const batchSize = 8;

/** What happens in a run before it trains. */
export const beginning: readonly TrainingEvent[] = [
  { type: 'phase', phase: 'finetune', text: 'Stage two' },
  { type: 'dataset', dataset },
  { type: 'device', device: 'cpu', reason: 'no GPU', threads: 2, kernels: 'native' },
  { type: 'note', text: 'two pictures are <i>much alike</i>' },
  { type: 'start', stage: 'finetune', passes: 4, trainSize: dataset.train.length, batchSize, augment: true, seed: 0 },
];

/** A pass, from its first step on. */
export function* trainedPass(pass: number): Generator<TrainingEvent> {
  const total = dataset.train.length;
  for (let batch = 0; batch < total / batchSize; batch++) {
    const step = pass * (total / batchSize) + batch;
    const [cost, accuracy] = [1.4 / (1 + step / 6) + 0.1 * Math.cos(step), 1 - 0.6 / (1 + step / 6)];
    yield { type: 'batch', step, pass, batch, learningRate: 1e-3 * (1 - step / 32), cost, accuracy, waitMs: 0.5 };
    yield { type: 'progress', task: 'train', pass, done: (batch + 1) * batchSize, total };
  }
}

/** What follows it. */
export const afterPass = (pass: number, accuracy: number): readonly TrainingEvent[] => [
  { type: 'pass', pass, cost: 1 / (1 + pass), accuracy: 0.6 + pass / 10, picturesPerSecond: 20, dataWait: 0.01 },
  { type: 'progress', task: 'test', pass, done: 16, total: 16 },
  { type: 'test', pass, part: 'test', cost: 0.9 / (1 + pass), accuracy },
];
