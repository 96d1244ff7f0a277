import { describe, expect, it } from 'vitest';
import { averageDecay, WeightAverage } from '../../src/schedules/index.ts';
import reference from './schedules.json' with { type: 'json' };

describe("PyTorch's AveragedModel", () => {
  it.each(reference.averages)('has the same average at decay $decay', ({ decay, values }) => {
    const average = new WeightAverage({ decay });
    for (let update = 0; update < 12; update++) {
      const at = (place: number, length: number) =>
        Float32Array.from({ length }, (_, index) => Math.cos(update * 0.9 + place + index));
      average.update(
        new Map([
          ['weight', at(0, 6)],
          ['bias', at(1, 2)],
        ]),
      );
    }
    expect(average.updates).toBe(12);
    for (const [name, expected] of Object.entries(values)) {
      for (const [index, value] of expected.entries()) expect(average.values.get(name)?.[index]).toBeCloseTo(value, 6);
    }
  });
});

it('the decay grows as in timm, up to its bound', () => {
  // ModelEmaV3.get_decay of steps 1 to 5 and 1000, with use_warmup and its defaults, by its formula.
  const expected = [0, 0.3700395, 0.5192501, 0.6031497, 0.6580048, 0.99];
  const decays = [0, 1, 2, 3, 4, 999].map((update) => averageDecay(update, { decay: 0.99, warmUp: true }));
  for (const [index, decay] of expected.entries()) expect(decays[index]).toBeCloseTo(decay, 6);
});

it('weights that stay are their own average, and the average is a copy', () => {
  const weights = new Map([['w', Float32Array.of(1, -2)]]);
  const average = new WeightAverage({ decay: 0.5, warmUp: true });
  for (let update = 0; update < 5; update++) average.update(weights);
  expect(average.values.get('w')).toEqual(Float32Array.of(1, -2));
  weights.get('w')?.fill(0);
  expect(average.values.get('w')).toEqual(Float32Array.of(1, -2));
});

describe('other weights than before', () => {
  const average = new WeightAverage({ decay: 0.5 });
  average.update(new Map([['w', Float32Array.of(1, 2)]]));
  it.each([
    [new Map([['w', Float32Array.of(1)]]), 'w has 1 elements, the average 2'],
    [new Map(), 'w was averaged so far'],
    [
      new Map([
        ['w', Float32Array.of(1, 2)],
        ['v', Float32Array.of(1)],
      ]),
      'v was not there at the first update',
    ],
  ])('are a defect', (weights, message) => {
    expect(() => average.update(weights)).toThrow(message);
  });
});

it.each([1, -0.1, Number.NaN])('refuses a decay of %d', (decay) => {
  expect(() => new WeightAverage({ decay })).toThrow(expect.objectContaining({ code: 'OPTION' }));
});
