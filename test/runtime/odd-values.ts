// What JavaScript can pass where something else is meant, by name; each made anew, as some are used up by being looked at.

const thrown = () => {
  throw new Error('looked at');
};

/** Throws at whatever is done to it. */
const hostile = () =>
  new Proxy({}, Object.fromEntries(Object.getOwnPropertyNames(Reflect).map((trap) => [trap, thrown])));

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

function cyclic(): object {
  const value: Record<string, unknown> = {};
  return Object.assign(value, { value, type: value, dims: value, data: value, train: value });
}

/** A view of memory that has gone elsewhere. */
export function detached(bytes = 16): Uint8Array {
  const view = new Uint8Array(bytes);
  structuredClone(view.buffer, { transfer: [view.buffer] });
  return view;
}

/** A view of memory that has shrunk since: of all of it, or of a part that is there no more. */
export function shrunk(length?: number): Uint8Array {
  // Node 20 has them, the library that types are checked against does not.
  const Resizable = ArrayBuffer as unknown as new (
    bytes: number,
    options: { maxByteLength: number },
  ) => ArrayBuffer & { resize(bytes: number): void };
  const buffer = new Resizable(2 ** 20, { maxByteLength: 2 ** 20 });
  const view = length === undefined ? new Uint8Array(buffer) : new Uint8Array(buffer, 2 ** 19, length);
  buffer.resize(8);
  return view;
}

/** Its length is the largest there is; it holds nothing. */
export const longArray = (): unknown[] => new Array(2 ** 32 - 1);

export const ODD_VALUES: Readonly<Record<string, () => unknown>> = {
  undefined: () => undefined,
  null: () => null,
  true: () => true,
  'the number -1': () => -1,
  'not a number': () => Number.NaN,
  infinity: () => Number.POSITIVE_INFINITY,
  'a half': () => 0.5,
  'the number 2^53': () => 2 ** 53,
  'the number 1e300': () => 1e300,
  'a bigint': () => -5n,
  'a bigint of 128 bits': () => 2n ** 127n,
  'an empty text': () => '',
  'a text with a NUL': () => 'a\0b',
  'half a character': () => '\ud800',
  'a long text': () => 'x'.repeat(2 ** 20),
  'a symbol': () => Symbol('odd'),
  'a function': () => thrown,
  'a class': () => class {},
  'an object': () => ({}),
  'an object without prototype': () => Object.create(null),
  'an object that throws': hostile,
  'a revoked proxy': revoked,
  'a cyclic object': cyclic,
  'an empty array': () => [],
  'an array of nothing': longArray,
  'an array that throws': () => Object.defineProperty([1], 0, { get: thrown }),
  'a proxy of an array': () => new Proxy([1], {}),
  'a map': () => new Map([['image', 1]]),
  'a promise': () => Promise.resolve(1),
  'a date': () => new Date(Number.NaN),
  'an ArrayBuffer': () => new ArrayBuffer(8),
  'a DataView': () => new DataView(new ArrayBuffer(8)),
  'an empty Uint8Array': () => new Uint8Array(0),
  'a Uint8Array': () => new Uint8Array(8),
  'a Buffer': () => Buffer.alloc(8),
  'a Uint8ClampedArray': () => new Uint8ClampedArray(8),
  'a Float32Array': () => new Float32Array(8),
  'a BigUint64Array': () => new BigUint64Array(8),
  'shared memory': () => new Uint8Array(new SharedArrayBuffer(8)),
  'detached memory': detached,
  'shrunk memory': () => shrunk(),
  'memory that is there no more': () => shrunk(64),
};
