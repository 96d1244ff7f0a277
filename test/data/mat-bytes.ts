import { deflateSync } from 'node:zlib';

/** Hand-made MAT-file bytes after MathWorks's "MAT-File Format", for what no genuine file shows. */
export interface MatVariable {
  name: string;
  values: readonly number[];
  /** mxDOUBLE 6, mxUINT8 9, mxUINT16 11, mxINT32 12, ... */
  arrayClass?: number;
  /** miINT8 1, miUINT8 2, miINT16 3, miUINT16 4, miINT32 5, miUINT32 6, miSINGLE 7, miDOUBLE 9, ... */
  storage?: number;
  dims?: readonly number[];
  flags?: number;
}

type Write = (view: DataView, offset: number, value: number, little: boolean) => void;
const STORAGE: Record<number, [bytes: number, write: Write]> = {
  1: [1, (view, offset, value) => view.setInt8(offset, value)],
  2: [1, (view, offset, value) => view.setUint8(offset, value)],
  3: [2, (view, offset, value, little) => view.setInt16(offset, value, little)],
  4: [2, (view, offset, value, little) => view.setUint16(offset, value, little)],
  5: [4, (view, offset, value, little) => view.setInt32(offset, value, little)],
  6: [4, (view, offset, value, little) => view.setUint32(offset, value, little)],
  7: [4, (view, offset, value, little) => view.setFloat32(offset, value, little)],
  9: [8, (view, offset, value, little) => view.setFloat64(offset, value, little)],
  12: [8, (view, offset, value, little) => view.setBigInt64(offset, BigInt(value), little)],
  13: [8, (view, offset, value, little) => view.setBigUint64(offset, BigInt(value), little)],
};

export function numbers(storage: number, values: readonly number[], little = true): Uint8Array {
  const [width, write] = STORAGE[storage]!;
  const view = new DataView(new ArrayBuffer(values.length * width));
  for (const [index, value] of values.entries()) write(view, index * width, value, little);
  return new Uint8Array(view.buffer);
}

/** Tag and data; four bytes or fewer lie in the tag, as the format asks. `declared` lies about the size. */
export function element(type: number, data: Uint8Array, little = true, declared = data.length): Uint8Array {
  const small = declared <= 4 && type !== 14 && type !== 15;
  const padded = small ? 8 : 8 + (type === 15 ? data.length : Math.ceil(data.length / 8) * 8);
  const bytes = new Uint8Array(padded);
  const view = new DataView(bytes.buffer);
  if (small) {
    view.setUint32(0, (declared << 16) | type, little);
    bytes.set(data, 4);
  } else {
    view.setUint32(0, type, little);
    view.setUint32(4, declared, little);
    bytes.set(data, 8);
  }
  return bytes;
}

export function matrix(variable: MatVariable, little = true): Uint8Array {
  const { name, values, arrayClass = 6, storage = 9, dims = [1, values.length], flags = 0 } = variable;
  const parts = [
    element(6, numbers(6, [flags | arrayClass, 0], little), little),
    element(5, numbers(5, dims, little), little),
    element(1, new TextEncoder().encode(name), little),
    element(storage, numbers(storage, values, little), little),
  ];
  return element(14, Buffer.concat(parts), little);
}

export function header(little = true, version = 0x0100): Uint8Array {
  const bytes = Buffer.alloc(128, ' ');
  bytes.write('MATLAB 5.0 MAT-file', 'latin1');
  if (little) bytes.writeUInt16LE(version, 124);
  else bytes.writeUInt16BE(version, 124);
  bytes.write(little ? 'IM' : 'MI', 126, 'latin1');
  return bytes;
}

export function matFile(variables: readonly MatVariable[], { little = true, compressed = false } = {}): Uint8Array {
  const body = variables.map((variable) => {
    const bytes = matrix(variable, little);
    return compressed ? element(15, deflateSync(bytes), little) : bytes;
  });
  return Buffer.concat([header(little), ...body]);
}
