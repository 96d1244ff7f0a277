/** Protocol buffers, changed as a tree and written again with the right lengths. */
import type { Random } from '../../src/random.ts';
import { chance, damage, damageList, numberBytes, oddNumber, pick, randomBytes } from './mutate.ts';

interface Field {
  readonly number: number;
  /** Wire type: 0 varint, 1 eight bytes, 2 length and bytes, 5 four bytes. */
  readonly wire: number;
  readonly value: bigint | Buffer | readonly Field[];
}

function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  do {
    bytes.push(Number(rest & 0x7fn) | (rest > 0x7fn ? 0x80 : 0));
    rest >>= 7n;
  } while (rest > 0n);
  return Buffer.from(bytes);
}

/** The fields of a message, as far down as bytes look like messages; `undefined` for what is none. */
function parse(bytes: Buffer): Field[] | undefined {
  const fields: Field[] = [];
  let at = 0;
  const next = (): bigint | undefined => {
    let value = 0n;
    for (let shift = 0n; shift < 64n; shift += 7n) {
      const byte = bytes[at++];
      if (byte === undefined) return undefined;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    return undefined;
  };
  while (at < bytes.length) {
    const tag = next();
    if (tag === undefined || tag < 8n || tag > 0x7ffn) return undefined;
    const [number, wire] = [Number(tag >> 3n), Number(tag & 7n)];
    const length = wire === 0 ? 0n : wire === 1 ? 8n : wire === 5 ? 4n : wire === 2 ? next() : undefined;
    if (length === undefined || length > BigInt(bytes.length - at)) return undefined;
    if (wire === 0) {
      const value = next();
      if (value === undefined) return undefined;
      fields.push({ number, wire, value });
      continue;
    }
    const content = bytes.subarray(at, at + Number(length));
    at += Number(length);
    fields.push({ number, wire, value: (wire === 2 && content.length > 1 && parse(content)) || content });
  }
  return fields;
}

function encode(fields: readonly Field[]): Buffer {
  return Buffer.concat(
    fields.flatMap(({ number, wire, value }) => {
      const tag = varint(BigInt(number * 8 + wire));
      if (typeof value === 'bigint') return [tag, varint(value)];
      const content = Buffer.isBuffer(value) ? value : encode(value);
      return wire === 2 ? [tag, varint(BigInt(content.length)), content] : [tag, content];
    }),
  );
}

/** What lies in a field, at any depth. */
const inside = (field: Field): Field[] =>
  Array.isArray(field.value) ? [field, ...(field.value as readonly Field[]).flatMap(inside)] : [field];

function change(random: Random, field: Field, all: readonly Field[]): Field {
  const { number, wire, value } = field;
  switch (random.integer(6)) {
    case 0:
      return { ...field, number: pick(random, [1, 2, 3, 4, 5, 7, 9, 13, 14, 20, number + 1, 2 ** 28]) };
    case 1:
      return { ...field, wire: random.integer(8) };
    case 2:
      return { ...field, value: pick(random, all).value };
    case 3: {
      // Into itself, over and over.
      let nested = field;
      for (let depth = random.integer(chance(random, 0.2) ? 300 : 4); depth > 0; depth--) {
        nested = { ...field, wire: 2, value: [nested] };
      }
      return nested;
    }
    case 4:
      return { number, wire: 2, value: randomBytes(random, random.integer(12)) };
    default:
      if (typeof value === 'bigint') return { ...field, value: oddNumber(random) };
      if (wire !== 2) return { ...field, value: numberBytes(oddNumber(random), wire === 1 ? 8 : 4) };
      return { ...field, value: damage(random, Buffer.isBuffer(value) ? value : encode(value as readonly Field[])) };
  }
}

function damageFields(random: Random, fields: readonly Field[], all: readonly Field[]): readonly Field[] {
  const nested = fields.filter(({ value }) => Array.isArray(value) && value.length > 0);
  if (nested.length > 0 && chance(random, 0.8)) {
    const chosen = pick(random, nested);
    const value = damageFields(random, chosen.value as readonly Field[], all);
    return fields.map((field) => (field === chosen ? { ...field, value } : field));
  }
  return damageList(random, fields, { make: () => pick(random, all), change: (field) => change(random, field, all) });
}

/** A message with one to three fields changed, at any depth; sometimes its bytes are damaged too. */
export function damageProtobuf(random: Random, bytes: Uint8Array): Buffer {
  let fields: readonly Field[] = parse(Buffer.from(bytes)) ?? [];
  const all = fields.flatMap(inside);
  for (let changes = random.integer(3); changes >= 0 && all.length > 0; changes--) {
    fields = damageFields(random, fields, all);
  }
  const written = encode(fields);
  return chance(random, 0.2) ? damage(random, written) : written;
}
