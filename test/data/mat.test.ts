import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { readMat } from '../../src/data/mat.ts';
import { shared } from '../shared.ts';
import { element, header, matFile, numbers } from './mat-bytes.ts';

const values = (bytes: Uint8Array, name: string) => [...(readMat(bytes, 'x.mat').get(name)?.data ?? [])];

describe('readMat', () => {
  test('reads bytes laid out by hand: int8 values of a double array, in small elements', () => {
    const bytes = Buffer.concat([
      header(),
      Buffer.from(
        [
          '0e00000038000000', // miMATRIX, 56 bytes
          '0600000008000000', // array flags: miUINT32, 8 bytes
          '0600000000000000', // mxDOUBLE
          '0500000008000000', // dimensions: miINT32, 8 bytes
          '0100000003000000', // 1 x 3
          '0100010061000000', // name: small element of 1 byte, "a"
          '0100030001ff7f00', // real part: small element of 3 bytes of miINT8: 1, -1, 127
          '0000000000000000', // padding, an element of no type that belongs to nothing
        ].join(''),
        'hex',
      ),
    ]);
    expect(readMat(bytes, 'x.mat').get('a')).toEqual({ dims: [1, 3], data: Float64Array.of(1, -1, 127) });
  });

  test.each([
    [1, [-128, 127]],
    [2, [0, 255, 3]],
    [3, [-32768, 32767]],
    [4, [65535, 1, 2]],
    [5, [-(2 ** 31), 2 ** 31 - 1]],
    [6, [2 ** 32 - 1]],
    [7, [0.5, -2.25]],
    [9, [Math.PI, -1e300]],
    [12, [-5, 2 ** 40]],
    [13, [2 ** 40]],
  ])('reads storage type %i in both byte orders, compressed or not', (storage, expected) => {
    for (const little of [true, false]) {
      for (const compressed of [true, false]) {
        const bytes = matFile([{ name: 'labels', values: expected, storage }], { little, compressed });
        expect(values(bytes, 'labels')).toEqual(expected);
      }
    }
  });

  test('several variables; text and complex numbers are passed over', () => {
    const bytes = matFile([
      { name: 'text', values: [72, 105], arrayClass: 4, storage: 4 },
      { name: 'complex', values: [1], flags: 0x0800 },
      { name: 'm', values: [1, 2, 3, 4, 5, 6], dims: [2, 3] },
      { name: 'empty', values: [], dims: [0, 0] },
    ]);
    const arrays = readMat(bytes, 'x.mat');
    expect([...arrays.keys()]).toEqual(['m', 'empty']);
    expect(arrays.get('m')).toEqual({ dims: [2, 3], data: Float64Array.of(1, 2, 3, 4, 5, 6) });
  });

  test.each([
    ['no header', Buffer.alloc(100), 'shorter than the header'],
    ['not a MAT file', Buffer.alloc(200), 'no endian indicator'],
    ['version 7.3', header(true, 0x0200), 'version 7.3 (HDF5)'],
    ['a cut tag', Buffer.concat([header(), Buffer.alloc(5)]), 'within the tag'],
    ['a cut element', matFile([{ name: 'a', values: [1, 2, 3] }]).subarray(0, -8), 'are left'],
    [
      'a length of 4 GiB',
      Buffer.concat([header(), element(14, Buffer.alloc(8), true, 0xffffffff)]),
      '4294967295 bytes',
    ],
    ['a small element of 5 bytes', Buffer.concat([header(), Buffer.from('0100050000000000', 'hex')]), '4 at most'],
    ['bad zlib data', Buffer.concat([header(), element(15, Buffer.alloc(16, 7))]), 'cannot be inflated'],
    [
      'a compressed element of 65 MiB of zeros',
      Buffer.concat([header(), element(15, deflateSync(Buffer.alloc(65 * 2 ** 20)))]),
      'cannot be inflated',
    ],
    ['dimensions that do not fit', matFile([{ name: 'a', values: [1, 2], dims: [1, 3] }]), '2 values for dimensions'],
    ['negative dimensions', matFile([{ name: 'a', values: [1], dims: [-1, -1] }]), '1 values for dimensions [-1, -1]'],
    ['an array of flags only', Buffer.concat([header(), element(14, element(6, numbers(6, [6, 0])))]), 'dimensions'],
    [
      'an array without flags',
      Buffer.concat([header(), element(14, element(9, numbers(9, [1])))]),
      'array flags of type 9',
    ],
    ['an array of nothing', Buffer.concat([header(), element(14, Buffer.alloc(0))]), 'without its array flags'],
    ['nothing compressed', Buffer.concat([header(), element(15, deflateSync(Buffer.alloc(0)))]), 'element is empty'],
  ])('refuses %s', (_, bytes, message) => {
    expect(() => readMat(bytes, 'broken.mat')).toThrow(
      expect.objectContaining({ code: 'MAT_INVALID', message: expect.stringContaining(message) }),
    );
    expect(() => readMat(bytes, 'broken.mat')).toThrow(/broken\.mat/);
  });

  test('no byte changed or missing brings anything but a result or its own error', () => {
    const bytes = matFile([{ name: 'a', values: [1, 2, 3] }]);
    let refused = 0;
    for (let offset = 124; offset < bytes.length; offset++) {
      for (const value of [0, 1, 15, 255]) {
        const changed = Uint8Array.from(bytes);
        changed[offset] = value;
        for (const input of [changed, changed.subarray(0, offset)]) {
          try {
            readMat(input, 'x.mat');
          } catch (error) {
            expect(error).toMatchObject({ code: 'MAT_INVALID' });
            refused++;
          }
        }
      }
    }
    expect(refused).toBeGreaterThan(100);
  });
});

describe.skipIf(!shared)('readMat on the genuine files of Flowers-102 (ORTUNE_SHARED)', () => {
  const read = async (name: string) => {
    const path = join(shared!, 'data/flowers102-short160', name);
    return readMat(await readFile(path), path);
  };

  test('imagelabels.mat', async () => {
    const labels = (await read('imagelabels.mat')).get('labels')!;
    expect(labels.dims).toEqual([1, 8189]);
    expect(labels.data[0]).toBe(77);
    expect(new Set(labels.data).size).toBe(102);
    expect([Math.min(...labels.data), Math.max(...labels.data)]).toEqual([1, 102]);
  });

  test('setid.mat: three sets that share no picture and leave none out', async () => {
    const sets = await read('setid.mat');
    const sizes = ['trnid', 'valid', 'tstid'].map((name) => sets.get(name)!.data.length);
    expect(sizes).toEqual([1020, 1020, 6149]);
    expect(new Set([...sets.values()].flatMap(({ data }) => [...data])).size).toBe(8189);
  });
});
