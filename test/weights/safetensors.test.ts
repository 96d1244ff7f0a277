import { describe, expect, it } from 'vitest';
import { failure, floatSafetensors, openBytes, safetensors, temporaryFolder } from './helpers.ts';

const folder = await temporaryFolder();
const entry = (begin: number, end: number, shape = [(end - begin) / 4]) => ({
  dtype: 'F32',
  shape,
  data_offsets: [begin, end],
});
const fails = async (bytes: Uint8Array | string) => failure(openBytes(folder, bytes));

describe('a sound safetensors file', () => {
  it('is read', async () => {
    const file = await openBytes(
      folder,
      floatSafetensors({ a: { dims: [2, 1], data: [1, -2] }, b: { dims: [], data: [3] } }),
    );
    expect(file.format).toBe('safetensors');
    expect(await file.read('a')).toEqual({ name: 'a', type: 'float32', dims: [2, 1], data: Float32Array.of(1, -2) });
    expect(await file.read('b')).toEqual({ name: 'b', type: 'float32', dims: [], data: Float32Array.of(3) });
    expect((await failure(file.read('c'))).code).toBe('WEIGHTS_UNKNOWN_TENSOR');
    await file.close();
  });

  it('may have metadata, padding, empty tensors, any order, and names of object members', async () => {
    const header = `{"__metadata__":{"format":"pt"},"b":${JSON.stringify(entry(4, 8))},"empty":${JSON.stringify(entry(4, 4, [0, 3]))},"__proto__":${JSON.stringify(entry(0, 4))}}`;
    const file = await openBytes(folder, safetensors(header, new Uint8Array(8), 400));
    expect([...file.tensors.keys()]).toEqual(['b', 'empty', '__proto__']);
    expect((await file.read('empty')).data).toHaveLength(0);
    await file.close();
  });

  // 640 is 80 02 in little-endian, a pickle's first bytes.
  it('is told from a pickle when its header is 640 bytes long', async () => {
    const file = await openBytes(folder, safetensors({ a: entry(0, 4) }, new Uint8Array(4), 640));
    expect(file.format).toBe('safetensors');
    await file.close();
  });
});

describe('a damaged or hostile safetensors file', () => {
  it('cut at any byte is refused', async () => {
    const whole = floatSafetensors({ a: { dims: [2], data: [1, 2] } });
    for (let length = 0; length < whole.length; length++) {
      expect((await fails(whole.subarray(0, length))).code, `${length} bytes`).toMatch(
        /^WEIGHTS_(FORMAT|TRUNCATED|INVALID)$/,
      );
    }
  });

  it.each([
    ['an overlap', { a: entry(0, 8), b: entry(4, 12) }, 12, /'b'.*an overlap/],
    ['a gap', { a: entry(0, 4), b: entry(8, 12) }, 12, /'b'.*a gap/],
    ['a late start', { a: entry(4, 8) }, 8, /'a'.*a gap/],
    ['offsets past the end', { a: entry(0, 400) }, 8, /expected 400 bytes of data.*received 8.*cut short/],
    ['bytes of no tensor', { a: entry(0, 4) }, 8, /expected 4 bytes of data.*received 8/],
    ['reversed offsets', { a: { dtype: 'F32', shape: [0], data_offsets: [4, 0] } }, 4, /data_offsets/],
    ['negative offsets', { a: { dtype: 'F32', shape: [1], data_offsets: [-4, 0] } }, 4, /data_offsets/],
    ['a shape of another size', { a: entry(0, 8, [3]) }, 8, /12 bytes apart/],
    ['a shape that overflows', { a: entry(0, 8, [2 ** 40, 2 ** 40]) }, 8, /shape of whole numbers/],
    ['a negative shape', { a: entry(0, 8, [-2, -1]) }, 8, /list of numbers as shape/],
    [
      'an unknown type',
      { a: { dtype: 'F4', shape: [2], data_offsets: [0, 1] } },
      1,
      /expected dtype F32, .* received 'F4'/,
    ],
    ['an entry that is null', { a: null }, 0, /expected dtype/],
  ])('%s', async (_, header, size, message) => {
    const error = await fails(safetensors(header, new Uint8Array(size)));
    expect(error.code).toBe('WEIGHTS_INVALID');
    expect(error.message).toMatch(message);
  });

  it('a name that comes twice leaves a gap', async () => {
    const text = `{"a":${JSON.stringify(entry(0, 4))},"a":${JSON.stringify(entry(4, 8))}}`;
    expect((await fails(safetensors(text, new Uint8Array(8)))).message).toMatch(/a gap/);
  });

  it('a header over the limit is refused before it is read', async () => {
    const head = Buffer.from('0000000001000000' + '7b7d', 'hex');
    head.writeBigUInt64LE(100_000_001n);
    expect((await fails(head)).message).toMatch(/at most 100000000 bytes, received 100000001/);
  });

  it('a header that is no JSON is refused', async () => {
    expect((await fails(safetensors('{"a":', new Uint8Array()))).message).toMatch(/JSON object/);
  });
});
