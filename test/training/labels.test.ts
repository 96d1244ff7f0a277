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
  it.each<[string, () => Promise<unknown>, RegExp]>([
    ['of a training picture', () => two('train', 3), /received 3\.$/],
    ['of a training picture, below 0', () => two('train', -1), /received -1\.$/],
    ['of a mixed picture', () => two('train', 3, { mixup: 0.2 }), /received 3\.$/],
    ['of a test picture', () => two('test', 3), /received 3\.$/],
    ['of a test picture, that of no row', () => two('test', -1), /received -1\.$/],
    ['of features', () => stageOne({ onEvent: mislabelled('train', 4) }), /received 4\.$/],
    [
      'of features that are solved for',
      () => stageOne({ onEvent: mislabelled('train', 4), optimizer: 'lbfgs' }),
      /received 4\.$/,
    ],
  ])('%s', async (_, run, end) => {
    await expect(run()).rejects.toMatchObject({ code: 'LABEL', message: expect.stringMatching(end) });
    await expect(run()).rejects.toThrow(
      /^(blue|green|red)\/\d\.png: expected a label from 0 to 2, as there are 3 classes, /,
    );
  });
});
