import { describe, expect, it } from 'vitest';
import { buildResNet, floatsOf, type ResNetOptions } from '../../onnx/index.ts';

const build = (options: Partial<ResNetOptions> = {}) =>
  buildResNet({ width: 0.5, imageSize: 32, classes: 40, seed: 3, ...options }).graph.initializers;
type Tensors = ReturnType<typeof build>;
const same = (left: Tensors, name: string, right: Tensors, otherName: string) =>
  Buffer.compare(left.get(name)!.data, right.get(otherName)!.data) === 0;
const values = (tensors: Tensors, name: string) => floatsOf(tensors.get(name)!);
const moments = (numbers: Float32Array) => {
  const mean = numbers.reduce((sum, value) => sum + value, 0) / numbers.length;
  const variance = numbers.reduce((sum, value) => sum + (value - mean) ** 2, 0) / numbers.length;
  return { mean, deviation: Math.sqrt(variance) };
};

describe('first values', () => {
  const first = build();

  it('are the same bytes for the same seed, others for another', () => {
    const again = build();
    for (const name of first.keys()) expect(same(again, name, first, name), name).toBe(true);
    const other = build({ seed: 4 });
    for (const name of ['conv1_weights', 'fc_0.w_0']) expect(same(other, name, first, name)).toBe(false);
  });

  it('of a parameter do not depend on the rest of the network', () => {
    const other = build({ classes: 7, strideIn: '1x1', imageSize: 64 });
    expect(same(other, 'res5c_branch2c_weights', first, 'res5c_branch2c_weights')).toBe(true);
  });

  it('differ from layer to layer', () => {
    expect(first.get('res2b_branch2a_weights')!.dims).toEqual(first.get('res2c_branch2a_weights')!.dims);
    expect(same(first, 'res2b_branch2a_weights', first, 'res2c_branch2a_weights')).toBe(false);
  });

  const deviations: [string, number][] = [
    ['conv1_weights', Math.sqrt(2 / (64 * 7 * 7))],
    ['res3a_branch2b_weights', Math.sqrt(2 / (64 * 3 * 3))],
    ['res5a_branch1_weights', Math.sqrt(2 / 1024)],
  ];
  it.each(deviations)('of %s are normal with deviation %d', (name, expected) => {
    const numbers = values(first, name);
    const { mean, deviation } = moments(numbers);
    // Five standard errors of each estimate.
    expect(Math.abs(mean)).toBeLessThan((5 * expected) / Math.sqrt(numbers.length));
    expect(Math.abs(deviation / expected - 1)).toBeLessThan(5 / Math.sqrt(2 * numbers.length));
    const inside = numbers.filter((value) => Math.abs(value) < expected).length / numbers.length;
    expect(inside).toBeGreaterThan(0.66);
    expect(inside).toBeLessThan(0.705);
  });

  it("of the head are uniform within PyTorch's bound for a linear layer", () => {
    const numbers = values(first, 'fc_0.w_0');
    const bound = 1 / Math.sqrt(1024);
    const { mean, deviation } = moments(numbers);
    expect(Math.max(...numbers.map(Math.abs))).toBeLessThanOrEqual(bound);
    expect(Math.max(...numbers.map(Math.abs))).toBeGreaterThan(0.999 * bound);
    expect(Math.abs(mean)).toBeLessThan((5 * deviation) / Math.sqrt(numbers.length));
    expect(Math.abs((deviation * Math.sqrt(3)) / bound - 1)).toBeLessThan(0.02);
  });

  it('leave BatchNorm and the bias neutral', () => {
    const constant = (suffix: RegExp) =>
      new Set([...first.values()].filter(({ name }) => suffix.test(name)).flatMap((tensor) => [...floatsOf(tensor)]));
    expect(constant(/^bn.*_(scale|variance)$/)).toEqual(new Set([1]));
    expect(constant(/^bn.*_(offset|mean)$|^fc_0\.b_0$/)).toEqual(new Set([0]));
  });
});
