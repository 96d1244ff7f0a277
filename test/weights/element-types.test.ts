import { describe, expect, it } from 'vitest';
import { byteLength, decode } from '../../src/weights/element-types.ts';

const bytes = (...halves: number[]) => new Uint8Array(Uint16Array.from(halves).buffer);

describe('decode', () => {
  it('widens float16 (values of IEEE 754-2008, table 3.5)', () => {
    const halves = [0x3c00, 0xc000, 0x7bff, 0x0400, 0x03ff, 0x0001, 0x0000, 0x7c00, 0xfc00, 0x3555];
    expect([...decode('float16', bytes(...halves))]).toEqual([
      1,
      -2,
      65504,
      2 ** -14,
      2 ** -14 - 2 ** -24,
      2 ** -24,
      0,
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
      0.333251953125,
    ]);
    expect([...decode('float16', bytes(0x7e00))]).toEqual([Number.NaN]);
    expect([...decode('float16', bytes(0x8000))]).toEqual([-0]);
  });

  it('widens bfloat16', () => {
    const values = decode('bfloat16', bytes(0x3f80, 0xc000, 0x7f7f, 0x0001, 0xff80));
    expect([...values]).toEqual([1, -2, 3.3895313892515355e38, 2 ** -133, Number.NEGATIVE_INFINITY]);
  });

  it('reads from a view that lies on an odd byte', () => {
    const buffer = new Uint8Array(9);
    new DataView(buffer.buffer).setFloat32(1, 1.5, true);
    new DataView(buffer.buffer).setFloat32(5, -2, true);
    expect([...decode('float32', buffer.subarray(1))]).toEqual([1.5, -2]);
  });
});

describe('byteLength', () => {
  it('counts', () => {
    expect(byteLength('float32', [64, 3, 7, 7], 'x')).toBe(37_632);
    expect(byteLength('float64', [], 'x')).toBe(8);
    expect(byteLength('float16', [0, 5], 'x')).toBe(0);
  });

  it.each([[[-1]], [[1.5]], [[2 ** 53]], [[2 ** 30, 2 ** 30]], [[2 ** 52, 2 ** 52, 0]], [[Number.NaN]]])(
    'refuses %j',
    (dims) => {
      expect(() => byteLength('float32', dims, 'x')).toThrow(/x: expected a shape of whole numbers/);
    },
  );
});
