import { expect, it } from 'vitest';
import { RunHistory } from '../../src/dashboard/history.ts';
import { afterPass, beginning, trainedPass } from './run.ts';

it('forgets what a return to an earlier state makes void', () => {
  const history = new RunHistory();
  const passes = [0, 1].flatMap((pass) => [...trainedPass(pass), ...afterPass(pass, 0.8)]);
  for (const event of [...beginning, ...passes]) history.add(event);
  const to = { pass: 1, batches: 3, steps: 11 };
  history.add({ type: 'rollback', pass: 1, batch: 7, learningRate: 1e-3, reason: 'the cost is NaN', to });
  expect(history.stage?.steps.map(({ step }) => step)).toEqual(Array.from({ length: 11 }, (_, step) => step));
  expect(history.stage?.passes.map(({ pass }) => pass)).toEqual([0]);
  expect(history.stage?.tests.map(({ pass }) => pass)).toEqual([0]);
  expect(history.lines.at(-1)).toBe('Back to pass 1, batch 3, at a tenth of the rate: the cost is NaN');
});
