/** What is done to genuine files, whatever their format: to bytes, to lists of parts, and to texts. */
import type { Random } from '../../src/random.ts';

/** Larger inputs find nothing that these do not, and take their time. */
const LARGEST = 2 ** 18;

/** Where arithmetic turns: signs, widths of integers, what a double holds exactly. */
const NUMBERS = [0, 1, 2, 3, 7, 8, 31, 32, 53, 63, 64]
  .flatMap((power) => [1n << BigInt(power), (1n << BigInt(power)) - 1n])
  .flatMap((number) => [number, -number]);

export const pick = <Item>(random: Random, items: readonly Item[]): Item => items[random.integer(items.length)]!;
export const chance = (random: Random, probability: number): boolean => random.uniform() < probability;

/** A number that is likely to hurt, or just any. */
export function oddNumber(random: Random): bigint {
  return chance(random, 0.7) ? pick(random, NUMBERS) : BigInt(random.uint32()) >> BigInt(random.integer(32));
}

/** As many bytes as asked, of a number in two's complement. */
export function numberBytes(value: bigint, width: number, littleEndian = true): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(BigInt.asIntN(64, value));
  const cut = bytes.subarray(0, width);
  return littleEndian ? cut : cut.reverse();
}

export function randomBytes(random: Random, length: number): Buffer {
  return Buffer.from(Uint8Array.from({ length }, () => random.integer(256)));
}

/** A start and an end within a length. */
function range(random: Random, length: number): [start: number, end: number] {
  const start = random.integer(length + 1);
  const most = chance(random, 0.7) ? 16 : length;
  return [start, Math.min(length, start + 1 + random.integer(Math.max(1, most)))];
}

const CHANGES: readonly ((random: Random, bytes: Buffer) => Buffer)[] = [
  (random, bytes) => {
    bytes[random.integer(bytes.length)]! ^= 1 << random.integer(8);
    return bytes;
  },
  (random, bytes) => {
    bytes[random.integer(bytes.length)] = random.integer(256);
    return bytes;
  },
  (random, bytes) => {
    const number = numberBytes(oddNumber(random), pick(random, [1, 2, 4, 8]), chance(random, 0.7));
    number.copy(bytes, random.integer(bytes.length));
    return bytes;
  },
  (random, bytes) => bytes.subarray(0, random.integer(bytes.length)),
  (random, bytes) => {
    const [start, end] = range(random, bytes.length);
    return Buffer.concat([bytes.subarray(0, start), bytes.subarray(end)]);
  },
  (random, bytes) => {
    const [start, end] = range(random, bytes.length);
    const at = random.integer(bytes.length);
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(start, end), bytes.subarray(at)]);
  },
  (random, bytes) => {
    const [start, end] = range(random, bytes.length);
    bytes.copyWithin(random.integer(bytes.length), start, end);
    return bytes;
  },
  (random, bytes) => {
    const [start, end] = range(random, bytes.length);
    return bytes.fill(pick(random, [0, 0xff, random.integer(256)]), start, end);
  },
  (random, bytes) => {
    const at = random.integer(bytes.length);
    return Buffer.concat([bytes.subarray(0, at), randomBytes(random, 1 + random.integer(16)), bytes.subarray(at)]);
  },
  (random, bytes) => {
    const [start, end] = range(random, bytes.length);
    const times = Math.min(random.integer(2000), Math.floor(LARGEST / (end - start + 1)));
    const run = Array.from({ length: times }, () => bytes.subarray(start, end));
    return Buffer.concat([bytes.subarray(0, end), ...run, bytes.subarray(end)]);
  },
];

/** A copy with one to four changes: bits, numbers of all widths, parts cut out, moved, copied, repeated. */
export function damage(random: Random, bytes: Uint8Array): Buffer {
  let damaged: Buffer = Buffer.from(bytes);
  for (let change = random.integer(4); change >= 0 && damaged.length > 0; change--) {
    damaged = Buffer.from(pick(random, CHANGES)(random, damaged)).subarray(0, LARGEST);
  }
  return damaged;
}

/** A copy with one change: a part removed, doubled, repeated, moved, changed, or a new one put in. */
export function damageList<Part>(
  random: Random,
  parts: readonly Part[],
  { make, change }: { make: () => Part; change: (part: Part) => Part },
): Part[] {
  const damaged = [...parts];
  const at = random.integer(Math.max(1, parts.length));
  const part = damaged[at];
  if (part === undefined) return [make()];
  switch (random.integer(9)) {
    case 0:
      damaged.splice(at, 1 + random.integer(3));
      break;
    case 1:
      damaged.splice(random.integer(parts.length), 0, part);
      break;
    case 2:
      damaged.splice(at, 0, ...Array.from({ length: random.integer(chance(random, 0.1) ? 2000 : 20) }, () => part));
      break;
    case 3:
      damaged.splice(at, 1);
      damaged.splice(random.integer(parts.length), 0, part);
      break;
    case 4:
      damaged.splice(at, 0, ...parts.slice(...range(random, parts.length)));
      break;
    case 5:
    case 6:
      damaged.splice(at, 0, make());
      break;
    default:
      damaged[at] = change(part);
  }
  return damaged;
}

/** A text with up to six changes to its words and signs. */
export function damageText(random: Random, text: string, dictionary: readonly string[]): string {
  let tokens: string[] = text.match(/\w+|\s|[^\w\s]/g) ?? [];
  const make = () => pick(random, dictionary);
  for (let change = random.integer(6); change >= 0; change--)
    tokens = damageList(random, tokens, { make, change: make });
  return tokens.join('').slice(0, LARGEST);
}
