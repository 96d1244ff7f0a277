/** Pickles, changed opcode by opcode (Python's pickletools.py lists them). */
import type { Random } from '../../src/random.ts';
import { chance, damage, damageList, numberBytes, oddNumber, pick } from './mutate.ts';

interface Operation {
  readonly code: number;
  /** With the length before it, where it has one. */
  readonly argument: Buffer;
}

/** Bytes of an opcode's argument, or how long the length before it is. */
const FIXED: Readonly<Record<number, number>> = {
  128: 1, // PROTO
  149: 8, // FRAME
  74: 4, // BININT
  75: 1, // BININT1
  77: 2, // BININT2
  71: 8, // BINFLOAT
  113: 1, // BINPUT
  114: 4, // LONG_BINPUT
  104: 1, // BINGET
  106: 4, // LONG_BINGET
};
const COUNTED: Readonly<Record<number, number>> = {
  138: 1, // LONG1
  139: 4, // LONG4
  88: 4, // BINUNICODE
  140: 1, // SHORT_BINUNICODE
  141: 8, // BINUNICODE8
  84: 4, // BINSTRING
  85: 1, // SHORT_BINSTRING
  66: 4, // BINBYTES
  67: 1, // SHORT_BINBYTES
  142: 8, // BINBYTES8
  150: 8, // BYTEARRAY8
};
const GLOBAL = 0x63;

const PLAIN = [...'().012NQRabdehiloqrstu}]'].map((letter) => letter.charCodeAt(0));
const CODES = [...PLAIN, 0x81, 0x82, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8f, 0x90, 0x91, 0x92, 0x93, 0x94, 0x97, 0x98];
const GLOBALS = [
  'os\nsystem\n',
  'builtins\neval\n',
  'numpy\ndtype\n',
  'numpy\nndarray\n',
  'numpy.core.multiarray\n_reconstruct\n',
  'collections\nOrderedDict\n',
  'torch._utils\n_rebuild_tensor_v2\n',
  'torch._utils\n_rebuild_parameter\n',
  'torch\nSize\n',
  'torch\nLongStorage\n',
  'a.b\n__proto__\n',
];
const TEXTS = ['', 'w', 'storage', '__proto__', 'f4', 'O8', '>', '<', '../x', 'state_dict', 'a'.repeat(300)];

function disassemble(bytes: Buffer): Operation[] {
  const operations: Operation[] = [];
  let at = 0;
  while (at < bytes.length) {
    const code = bytes[at]!;
    const width = COUNTED[code];
    let length = FIXED[code] ?? 0;
    if (width !== undefined) length = width + Number(bytes.readUIntLE(at + 1, Math.min(width, 6)));
    if (code === GLOBAL) length = bytes.indexOf(10, bytes.indexOf(10, at) + 1) - at;
    operations.push({ code, argument: bytes.subarray(at + 1, at + 1 + length) });
    at += 1 + length;
  }
  return operations;
}

function withText(code: number, text: string): Operation {
  const content = Buffer.from(text);
  const width = COUNTED[code] ?? 4;
  return { code, argument: Buffer.concat([numberBytes(BigInt(content.length), width), content]) };
}

function make(random: Random): Operation {
  switch (random.integer(5)) {
    case 0:
      return { code: GLOBAL, argument: Buffer.from(pick(random, GLOBALS)) };
    case 1:
      return withText(pick(random, [88, 140, 66, 138]), pick(random, TEXTS));
    case 2: {
      const code = Number(pick(random, Object.keys(FIXED)));
      return { code, argument: numberBytes(oddNumber(random), FIXED[code]!) };
    }
    default:
      return { code: pick(random, CODES), argument: Buffer.alloc(0) };
  }
}

function change(random: Random, { code, argument }: Operation): Operation {
  const width = COUNTED[code];
  if (FIXED[code] !== undefined) return { code, argument: numberBytes(oddNumber(random), FIXED[code]) };
  if (code === GLOBAL) return { code, argument: Buffer.from(pick(random, GLOBALS)) };
  if (width === undefined || chance(random, 0.1)) return { code: pick(random, CODES), argument };
  // LONG1 is what shapes and offsets are written as.
  if (code === 138) return { code, argument: Buffer.concat([Buffer.of(8), numberBytes(oddNumber(random), 8)]) };
  if (chance(random, 0.5)) return withText(code, pick(random, TEXTS));
  return { code, argument: Buffer.concat([numberBytes(oddNumber(random), width), argument.subarray(width)]) };
}

/** A pickle, or several one after the other, with one to four of its operations changed. */
export function damagePickle(random: Random, bytes: Uint8Array): Buffer {
  let operations = disassemble(Buffer.from(bytes));
  for (let changes = random.integer(4); changes >= 0; changes--) {
    operations = damageList(random, operations, {
      make: () => make(random),
      change: (operation) => change(random, operation),
    });
  }
  const written = Buffer.concat(operations.flatMap(({ code, argument }) => [Buffer.of(code), argument]));
  return chance(random, 0.1) ? damage(random, written) : written;
}
