import { expect, test } from 'vitest';
import { batch } from './artifacts.ts';
import { openSession } from './fixture.ts';

const mebibytes = () => process.memoryUsage().rss / 2 ** 20;

test('memory does not grow with the number of steps', async () => {
  const { state, session } = await openSession();
  const steps = async (count: number) => {
    for (let step = 0; step < count; step += 1) {
      // Sizes in turn, as the last batch of a pass is smaller.
      await session.trainStep(batch(1 + (step % 3)));
      await session.optimizerStep();
      await session.lazyResetGrad();
      await session.evalStep(batch(2));
      await state.getParameter('fc_0.w_0');
      await session.copyParametersToBuffer(true);
    }
  };
  await steps(100);
  const before = mebibytes();
  await steps(200);
  // The parameter buffer alone has 1.5 MiB: 200 of them kept would be 300.
  expect(mebibytes() - before).toBeLessThan(60);
});
