import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { finetune, type PretrainOptions, pretrain, type TrainingEvent } from '../../src/training/index.ts';
import { openWorkshop, type Workshop } from './workshop.ts';

let workshop: Workshop;
const options = () => ({ data: workshop.data, device: 'cpu', threads: 1, passes: 1, batchSize: 6 }) as const;
const stageOne = (changes: Partial<PretrainOptions>) =>
  pretrain({ ...options(), graph: workshop.graph, weights: 'none', out: workshop.path('one'), ...changes });

beforeAll(async () => {
  workshop = await openWorkshop();
  await stageOne({});
});
afterAll(() => workshop.remove());

/** Changes a picture's label once the data have been read and looked over. */
const mislabelled = (part: 'train' | 'test', label: number) => (event: TrainingEvent) => {
  if (event.type === 'dataset') Object.assign(event.dataset[part][1]!, { label });
};

describe('a label that is no class is refused by its picture, before the step that it is for:', () => {
  const two = (part: 'train' | 'test', label: number, augment: object = {}) =>
    finetune({
      ...options(),
      ...{ from: workshop.path('one'), out: workshop.path('two'), augment, onEvent: mislabelled(part, label) },
    });
  it.each<[string, number, (label: number) => Promise<unknown>]>([
    ['of a training picture', 3, (label) => two('train', label)],
    ['of a training picture, below 0', -1, (label) => two('train', label)],
    ['of a mixed picture', 3, (label) => two('train', label, { mixup: 0.2 })],
    ['of a test picture', 3, (label) => two('test', label)],
    ['of a test picture, that of no row', -1, (label) => two('test', label)],
    ['of features', 4, (label) => stageOne({ onEvent: mislabelled('train', label) })],
    [
      'of features that are solved for',
      4,
      (label) => stageOne({ onEvent: mislabelled('train', label), optimizer: 'lbfgs' }),
    ],
  ])('%s', async (_, label, run) => {
    const start = /^(blue|green|red)\/\d\.png: expected a label from 0 to 2, as there are 3 classes, /.source;
    await expect(run(label)).rejects.toMatchObject({
      code: 'LABEL',
      message: expect.stringMatching(new RegExp(`${start}.*received ${label}\\.$`, 's')),
    });
  });
});
