import { describe, expect, test } from 'vitest';
import { applyOperation, type Operation, type Picture } from '../../src/augment/index.ts';
import { bytes, picture, pillow } from './pillow.ts';

const changed = (source: Picture, operation: Operation) => {
  const copy = { ...source, data: source.data.slice() };
  applyOperation(copy, operation);
  return copy.data;
};

describe('operations give what Pillow gives, to the byte', () => {
  test.each(pillow.operations)('$operation', ({ operation, result }) => {
    expect(changed(picture(), operation)).toEqual(bytes(result));
  });

  test('equalize where its table has steps', () => {
    const { width, height, picture: data, equalize } = pillow.large;
    const found = changed({ data: bytes(data), width, height }, { name: 'equalize' });
    expect(found).toEqual(bytes(equalize));
    expect(found).not.toEqual(bytes(data));
  });
});

test.each<Operation>([
  { name: 'brightness', factor: 1 },
  { name: 'contrast', factor: 1 },
  { name: 'saturation', factor: 1 },
  { name: 'sharpness', factor: 1 },
  { name: 'hue', turns: 0 },
  { name: 'posterize', bits: 8 },
  { name: 'solarize', threshold: 256 },
  { name: 'shear-x', amount: 0 },
  { name: 'translate', x: 0, y: 0 },
  { name: 'rotate', degrees: 0 },
])('$name: nothing asked, nothing changed', (operation) => {
  expect(changed(picture(), operation)).toEqual(picture().data);
});

test('a hue turned by thirds exchanges the channels', () => {
  const { data } = picture();
  const turned = changed(picture(), { name: 'hue', turns: 1 / 3 });
  for (let index = 0; index < data.length; index += 3) {
    const [red, green, blue] = data.subarray(index, index + 3);
    for (const [channel, value] of [blue!, red!, green!].entries()) {
      expect(Math.abs(turned[index + channel]! - value)).toBeLessThanOrEqual(1);
    }
  }
});

test.each([
  [1, 1],
  [1, 40],
  [2, 2],
  [3, 1],
])('a picture of %i x %i is no trouble to any operation', (width, height) => {
  const data = Uint8Array.from({ length: width * height * 3 }, (_, index) => (index * 37) % 256);
  for (const { operation } of pillow.operations) {
    const found = changed({ data, width, height }, operation);
    expect(found).toHaveLength(data.length);
    // Its edge is all that it has.
    if (operation.name === 'sharpness') expect(found).toEqual(data);
  }
});
