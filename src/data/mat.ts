/**
 * Reader of MATLAB's MAT-file Level 5 (versions 5 to 7.2), as much of it as numeric arrays need.
 * Source: "MAT-File Format" (MathWorks), chapter 1, "Level 5 MAT-File Format".
 */
import { inflateSync } from 'node:zlib';
import { OrtuneError } from '../errors.ts';

/** A real numeric array; `data` is in column-major order, as MATLAB stores it. */
export interface MatArray {
  readonly dims: readonly number[];
  readonly data: Float64Array;
}

const HEADER_BYTES = 128;
/** Compressed elements may claim to be anything; those of a real data set's labels stay far below this, all together. */
const MAX_INFLATED_BYTES = 16 * 2 ** 20;

const MI_INT8 = 1;
const MI_INT32 = 5;
const MI_UINT32 = 6;
const MI_MATRIX = 14;
const MI_COMPRESSED = 15;
/** Array classes from mxDOUBLE (6) to mxUINT64 (15) are numeric; cells, structures, text and sparse arrays are below. */
const MX_FIRST_NUMERIC = 6;
const MX_LAST_NUMERIC = 15;
const FLAG_COMPLEX = 0x0800;

type ReadNumber = (view: DataView, offset: number, little: boolean) => number;
/** Storage types of numbers: width in bytes and how to read one. An array may be stored narrower than its class. */
const NUMBERS: Readonly<Record<number, readonly [bytes: number, read: ReadNumber]>> = {
  [MI_INT8]: [1, (view, offset) => view.getInt8(offset)],
  2: [1, (view, offset) => view.getUint8(offset)],
  3: [2, (view, offset, little) => view.getInt16(offset, little)],
  4: [2, (view, offset, little) => view.getUint16(offset, little)],
  [MI_INT32]: [4, (view, offset, little) => view.getInt32(offset, little)],
  [MI_UINT32]: [4, (view, offset, little) => view.getUint32(offset, little)],
  7: [4, (view, offset, little) => view.getFloat32(offset, little)],
  9: [8, (view, offset, little) => view.getFloat64(offset, little)],
  12: [8, (view, offset, little) => Number(view.getBigInt64(offset, little))],
  13: [8, (view, offset, little) => Number(view.getBigUint64(offset, little))],
};

interface Element {
  readonly type: number;
  readonly data: Uint8Array;
}

/**
 * The real numeric arrays of a MAT file by name; other variables (text, cells, structures, complex numbers) are passed over.
 *
 * @param bytes the whole file
 * @param where what messages call the file, usually its path
 * @throws OrtuneError `MAT_INVALID` when the bytes are not a whole MAT-file of level 5
 */
export function readMat(bytes: Uint8Array, where: string): Map<string, MatArray> {
  const fail = (problem: string) =>
    new OrtuneError(
      'MAT_INVALID',
      `${where} is not a readable MAT file (level 5 expected): ${problem}. Fetch it again.`,
    );
  if (bytes.length < HEADER_BYTES) throw fail(`${bytes.length} bytes, shorter than the header of ${HEADER_BYTES}`);
  const header = Buffer.from(bytes.buffer, bytes.byteOffset, HEADER_BYTES);
  // The writer stores "MI" as one 16-bit number, so its byte order shows the file's.
  const order = header.toString('latin1', 126, 128);
  if (order !== 'IM' && order !== 'MI') throw fail('the header has no endian indicator');
  const little = order === 'IM';
  const version = little ? header.readUInt16LE(124) : header.readUInt16BE(124);
  if (version === 0x0200) throw fail('it is of version 7.3 (HDF5); save it with "-v7" in MATLAB');
  if (version !== 0x0100) throw fail(`version 0x${version.toString(16)} in the header, expected 0x100`);

  const arrays = new Map<string, MatArray>();
  let inflatable = MAX_INFLATED_BYTES;
  for (let element of elements(bytes.subarray(HEADER_BYTES), little, fail)) {
    if (element.type === MI_COMPRESSED) {
      const inflated = inflate(element.data, inflatable, fail);
      inflatable -= inflated.length;
      const inner = elements(inflated, little, fail).next();
      if (inner.done) throw fail('a compressed element is empty');
      element = inner.value;
    }
    if (element.type !== MI_MATRIX) continue;
    const array = readArray(element.data, little, fail);
    if (array) arrays.set(array.name, { dims: array.dims, data: array.data });
  }
  return arrays;
}

/** The data elements that follow one another in `bytes`; each has a tag of 8 bytes and data padded to 8. */
function* elements(bytes: Uint8Array, little: boolean, fail: (problem: string) => OrtuneError): Generator<Element> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let offset = 0;
  while (offset < bytes.length) {
    if (offset + 8 > bytes.length) throw fail('it ends within the tag of an element');
    const word = view.getUint32(offset, little);
    // Small data element: up to four bytes lie in the tag itself, their count in the type's upper half.
    const small = word >>> 16 !== 0;
    const type = small ? word & 0xffff : word;
    const size = small ? word >>> 16 : view.getUint32(offset + 4, little);
    const start = offset + (small ? 4 : 8);
    if (small && size > 4) throw fail(`a small element of ${size} bytes, 4 at most`);
    if (size > bytes.length - start) throw fail(`an element of ${size} bytes where ${bytes.length - start} are left`);
    yield { type, data: bytes.subarray(start, start + size) };
    // Compressed elements alone are not padded.
    offset = small ? offset + 8 : start + (type === MI_COMPRESSED ? size : Math.ceil(size / 8) * 8);
  }
}

function inflate(data: Uint8Array, most: number, fail: (problem: string) => OrtuneError): Uint8Array {
  try {
    return inflateSync(data, { maxOutputLength: Math.max(1, most) });
  } catch (error) {
    throw fail(`a compressed element cannot be inflated (${(error as Error).message})`);
  }
}

/** One miMATRIX: array flags, dimensions, name, real part. `undefined` when it is not a real numeric array. */
function readArray(
  bytes: Uint8Array,
  little: boolean,
  fail: (problem: string) => OrtuneError,
): (MatArray & { name: string }) | undefined {
  const parts = elements(bytes, little, fail);
  const next = (what: string, type?: number): Element => {
    const part = parts.next();
    if (part.done) throw fail(`an array without its ${what}`);
    if (type !== undefined && part.value.type !== type)
      throw fail(`${what} of type ${part.value.type}, expected ${type}`);
    return part.value;
  };
  const flags = next('array flags', MI_UINT32).data;
  if (flags.length !== 8) throw fail(`array flags of ${flags.length} bytes, expected 8`);
  const flagWord = new DataView(flags.buffer, flags.byteOffset).getUint32(0, little);
  const arrayClass = flagWord & 0xff;
  if (arrayClass < MX_FIRST_NUMERIC || arrayClass > MX_LAST_NUMERIC || flagWord & FLAG_COMPLEX) return undefined;

  const dims = [...readNumbers(next('dimensions', MI_INT32), little, fail)];
  const name = Buffer.from(next('name', MI_INT8).data).toString('latin1');
  const data = readNumbers(next(`real part ("${name}")`), little, fail);
  const count = dims.reduce((product, dim) => product * dim, 1);
  if (dims.length < 2 || dims.some((dim) => dim < 0) || count !== data.length) {
    throw fail(`"${name}" has ${data.length} values for dimensions [${dims.join(', ')}]`);
  }
  return { name, dims, data };
}

function readNumbers(element: Element, little: boolean, fail: (problem: string) => OrtuneError): Float64Array {
  const kind = NUMBERS[element.type];
  if (!kind) throw fail(`numbers of unknown type ${element.type}`);
  const [width, read] = kind;
  const { data } = element;
  if (data.length % width !== 0) throw fail(`${data.length} bytes of numbers of ${width} bytes each`);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  return Float64Array.from({ length: data.length / width }, (_, index) => read(view, index * width, little));
}
