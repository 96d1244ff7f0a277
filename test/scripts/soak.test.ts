import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { soak } from '../../scripts/soak/episodes.ts';
import { Trial } from '../../scripts/soak/trial.ts';
import { type Job, openSoakWorkshop, stageTwo } from '../../scripts/soak/workshop.ts';
import type { Workshop } from '../training/workshop.ts';

it('faults by chance lose nothing: the first of those that npm run soak goes on with', {
  timeout: 600_000,
}, async () => {
  const { done, runs } = await soak(
    63,
    (faults) => faults < 8,
    () => {},
  );
  expect(done.map(({ fault }) => fault)).toEqual([
    'bad picture added',
    'second run on the folder',
    'newest record damaged',
    'hostile requests',
    'disk full',
    'killed (SIGKILL)',
    'output folder vanished',
    'result damaged',
  ]);
  expect(runs).toBeGreaterThan(0);
});

describe('what is not as promised is noticed', { timeout: 300_000 }, () => {
  let workshop: Workshop;
  let job: Job;
  beforeAll(async () => {
    workshop = await openSoakWorkshop();
    job = await stageTwo(workshop);
  }, 300_000);
  afterAll(() => workshop.remove());

  it('a result of other bytes', async () => {
    const result = new Map([...job.result, ['steps.csv', Buffer.from('other')]]);
    const trial = await Trial.begin({ ...job, result }, workshop.path('differs'));
    await expect(trial.finish()).rejects.toThrow(
      'not so: the result is that of a run left alone, byte for byte; found ["steps.csv"]',
    );
  });

  it('a record that is gone', async () => {
    const trial = await Trial.begin(job, workshop.path('lost'));
    trial.kept = { pass: 1, batches: 0 };
    await expect(trial.run()).rejects.toThrow('not so: what was kept of the run is there');
  });

  it('a run that goes on from a place before its newest record', async () => {
    const trial = await Trial.begin(job, workshop.path('early'));
    const moment = { phase: 'training', step: 1, delay: 0 } as const;
    const { code } = await trial.run({ moment, act: (child) => child.kill('SIGTERM') });
    expect(code).toBe(143);
    trial.kept = { pass: 9, batches: 0 };
    await expect(trial.run()).rejects.toThrow('not so: it goes on from {"pass":9,"batches":0}');
  });
});
