import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { finetune, pretrain, type TrainingEvent } from '../../src/training/index.ts';
import { openWorkshop, snapshot, type Workshop } from './workshop.ts';

let workshop: Workshop;
const base = () =>
  ({ data: workshop.data, graph: workshop.graph, weights: 'none', device: 'cpu', threads: 1 }) as const;

beforeAll(async () => {
  workshop = await openWorkshop();
  await pretrain({ ...base(), passes: 1, out: workshop.path('one') });
});
afterAll(() => workshop.remove());

/** Numbers of the batches that were trained on, pass by pass. */
function trained(events: readonly TrainingEvent[]): number[][] {
  const passes: number[][] = [];
  for (const event of events) {
    if (event.type !== 'batch') continue;
    passes[event.pass] = [...(passes[event.pass] ?? []), event.batch];
  }
  return passes;
}

describe('a cost that is not finite', () => {
  // The names of the batch are compared in on-nan.test.ts.
  it.each([
    { where: 'in a batch', batchSize: 8, start: /^pass 0, batch 1 \(step 1, / },
    // One batch a pass: it is the test that finds what its step has done.
    { where: 'in a test', batchSize: 24, start: /^test after pass 0: / },
  ])('$where stops the run and leaves nothing', async ({ batchSize, start }) => {
    const before = await snapshot(workshop.folder);
    const message = new RegExp(`${start.source}.*expected a finite cost, received NaN\\. .* --lr\\.`);
    const run = pretrain({ ...base(), passes: 2, batchSize, learningRate: 1e36, out: workshop.path('none') });
    await expect(run).rejects.toMatchObject({ code: 'COST_NOT_FINITE', message: expect.stringMatching(message) });
    expect(await snapshot(workshop.folder)).toEqual(before);
  });
});

describe('a last batch of one picture', () => {
  const stageTwo = async (batchNorm: 'live' | 'frozen', batchSize: number) => {
    const events: TrainingEvent[] = [];
    const { history } = await finetune({
      data: workshop.data,
      from: workshop.path('one'),
      passes: 2,
      batchNorm,
      batchSize,
      threads: 1,
      device: 'cpu',
      out: workshop.path('two'),
      onEvent: (event) => events.push(event),
    });
    return { events, history };
  };

  it('is left out where BatchNorm would need its variance', async () => {
    const { events, history } = await stageTwo('live', 23);
    expect(trained(events)).toEqual([[0], [0]]);
    expect(history.every(({ trainCost, testCost }) => Number.isFinite(trainCost + (testCost ?? Number.NaN)))).toBe(
      true,
    );
  });

  it('is trained on where BatchNorm is frozen', async () => {
    const { events, history } = await stageTwo('frozen', 23);
    expect(trained(events)).toEqual([
      [0, 1],
      [0, 1],
    ]);
    const costs = events.flatMap((event) => (event.type === 'batch' && event.pass === 1 ? [event.cost] : []));
    // Each picture counts the same: 23 in the one batch, a single one in the other.
    expect(history[1]?.trainCost).toBeCloseTo((23 * (costs[0] as number) + (costs[1] as number)) / 24, 6);
  });

  it('is trained on in stage one, whose backbone is frozen', async () => {
    const events: TrainingEvent[] = [];
    const out = workshop.path('head');
    await pretrain({ ...base(), passes: 1, batchSize: 23, out, onEvent: (event) => events.push(event) });
    expect(trained(events)).toEqual([[0, 1]]);
  });

  it('is what all batches would be of size 1: refused with live BatchNorm', async () => {
    await expect(stageTwo('live', 1)).rejects.toMatchObject({
      code: 'OPTION',
      message: expect.stringMatching(/^batch-size: expected at least 2 with live BatchNorm.*--bn frozen.*received 1$/),
    });
  });
});
