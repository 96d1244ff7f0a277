/** Writes pickles by hand, opcode by opcode (Python's pickletools.py), as Python would for torch's and numpy's objects. */
const bytes = (...values: number[]) => Buffer.from(values);

function withLength(opcode: number, content: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(content.length);
  return Buffer.concat([bytes(opcode), length, content]);
}

export const pickle = (...parts: Buffer[]) => Buffer.concat([bytes(0x80, 2), ...parts, bytes(0x2e)]);
export const text = (value: string) => withLength(0x58, Buffer.from(value));
export const binary = (value: Uint8Array) => withLength(0x42, Buffer.from(value));
export const none = bytes(0x4e);
export const truth = (value: boolean) => bytes(value ? 0x88 : 0x89);
export const global = (module: string, name: string) => Buffer.from(`c${module}\n${name}\n`);
export const tuple = (...items: Buffer[]) => Buffer.concat([bytes(0x28), ...items, bytes(0x74)]);
export const list = (...items: Buffer[]) => Buffer.concat([bytes(0x5d, 0x28), ...items, bytes(0x65)]);
export const call = (callee: Buffer, ...args: Buffer[]) => Buffer.concat([callee, tuple(...args), bytes(0x52)]);
export const build = (object: Buffer, state: Buffer) => Buffer.concat([object, state, bytes(0x62)]);
export const remember = (object: Buffer, key: number) => Buffer.concat([object, bytes(0x71, key)]);
export const recall = (key: number) => bytes(0x68, key);

/** LONG1 of eight bytes. */
export function int(value: number | bigint): Buffer {
  const content = Buffer.alloc(8);
  content.writeBigInt64LE(BigInt(value));
  return Buffer.concat([bytes(0x8a, 8), content]);
}

export function dict(entries: Readonly<Record<string, Buffer>>, start = bytes(0x7d)): Buffer {
  const items = Object.entries(entries).flatMap(([key, value]) => [text(key), value]);
  return Buffer.concat([start, bytes(0x28), ...items, bytes(0x75)]);
}

export const orderedDict = (entries: Readonly<Record<string, Buffer>>) =>
  dict(entries, call(global('collections', 'OrderedDict')));

/** A torch storage's persistent id. */
export function storage(key: string, length: number, type = 'FloatStorage'): Buffer {
  const id = tuple(text('storage'), global('torch', type), text(key), text('cpu'), int(length));
  return Buffer.concat([id, bytes(0x51)]);
}

export function tensor(from: Buffer, offset: number, dims: readonly number[], strides: readonly number[]): Buffer {
  const ints = (values: readonly number[]) => tuple(...values.map(int));
  const hooks = call(global('collections', 'OrderedDict'));
  return call(
    global('torch._utils', '_rebuild_tensor_v2'),
    from,
    int(offset),
    ints(dims),
    ints(strides),
    truth(false),
    hooks,
  );
}
