import { describe, expect, it } from 'vitest';
import { averageDecay } from '../../src/schedules/index.ts';
import reference from './schedules.json' with { type: 'json' };

describe("PyTorch's AveragedModel", () => {
  it.each(reference.averages)('has the same average at decay $decay', ({ decay, values }) => {
    const places = { weight: 0, bias: 1 };
    for (const [name, expected] of Object.entries(values)) {
      const now = (update: number, index: number) =>
        Math.fround(Math.cos(update * 0.9 + places[name as keyof typeof places] + index));
      let average = expected.map(() => 0);
      for (let update = 0; update < 12; update++) {
        const kept = averageDecay(update, { decay });
        average = average.map((value, index) => kept * value + (1 - kept) * now(update, index));
      }
      for (const [index, value] of expected.entries()) expect(average[index]).toBeCloseTo(value, 6);
    }
  });
});

it('the decay grows as in timm, up to its bound', () => {
  // ModelEmaV3.get_decay of steps 1 to 5 and 1000, with use_warmup and its defaults, by its formula.
  const expected = [0, 0.3700395, 0.5192501, 0.6031497, 0.6580048, 0.99];
  const decays = [0, 1, 2, 3, 4, 999].map((update) => averageDecay(update, { decay: 0.99, warmUp: true }));
  for (const [index, decay] of expected.entries()) expect(decays[index]).toBeCloseTo(decay, 6);
});
