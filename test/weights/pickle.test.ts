import { describe, expect, it } from 'vitest';
import { OrtuneError } from '../../src/errors.ts';
import { PickleGlobal, unpickle } from '../../src/weights/pickle.ts';
import { PickleTruncatedError } from '../../src/weights/pickle-input.ts';
import {
  build,
  call,
  global,
  int,
  list,
  none,
  pickle,
  recall,
  remember,
  text,
  truth,
  tuple,
} from './pickle-assembler.ts';

const sum = new PickleGlobal('test.sum', (...args) => args.reduce<number>((total, value) => total + Number(value), 0));
const opaque = new PickleGlobal('test.opaque');
const read = (bytes: Uint8Array) => unpickle(bytes, 0, { path: 'file', globals: [sum, opaque] }).value;

const NUMBERS = '284b014d00014a90eefeff8a0600000000000147bff80000000000004e888a090000000000000000404affffffff65';

// pickle.dumps({'a': [1, 256, -70000, 2**40, -1.5, None, True, 2**70, -1], 'b': (b'\x01\x02', 'é', (), {'c': ()})}, protocol)
// by CPython 3.11; for protocol 2, which has no bytes, without them.
const DUMPS: readonly (readonly [protocol: number, hex: string])[] = [
  [
    2,
    `80027d71002858010000006171015d7102${NUMBERS}58010000006271035802000000c3a97104297d710558010000006371062973877107752e`,
  ],
  [4, `80049554000000000000007d94288c0161945d94${NUMBERS}8c0162942843020102948c02c3a994297d948c01639429737494752e`],
  [5, `80059554000000000000007d94288c0161945d94${NUMBERS}8c0162942843020102948c02c3a994297d948c01639429737494752e`],
];

describe('unpickle', () => {
  it.each(DUMPS)('reads what CPython dumps with protocol %i', (protocol, hex) => {
    const data = protocol === 2 ? [] : [Uint8Array.of(1, 2)];
    expect(read(Uint8Array.from(Buffer.from(hex, 'hex')))).toEqual(
      new Map<string, unknown>([
        ['a', [1, 256, -70000, 2 ** 40, -1.5, null, true, 2n ** 70n, -1]],
        ['b', [...data, 'é', [], new Map([['c', []]])]],
      ]),
    );
  });

  it.each(DUMPS)('notices every cut of protocol %i', (_, hex) => {
    const whole = Buffer.from(hex, 'hex');
    for (let length = 0; length < whole.length; length++) {
      expect(() => read(whole.subarray(0, length)), `${length} bytes`).toThrow(PickleTruncatedError);
    }
  });

  it('starts anywhere and says where it ended', () => {
    const bytes = Buffer.concat([Buffer.from('xx'), pickle(int(5)), Buffer.from('yy')]);
    expect(unpickle(bytes, 2, { path: 'file', globals: [] })).toEqual({ value: 5, end: bytes.length - 2 });
  });

  it('calls what is allowed, and shares what is remembered', () => {
    expect(read(pickle(call(global('test', 'sum'), int(2), int(3))))).toBe(5);
    const [first, second] = read(pickle(tuple(remember(list(int(1)), 7), recall(7)))) as unknown[];
    expect(first).toBe(second);
  });
});

describe('a hostile pickle', () => {
  it.each([
    ['os.system by GLOBAL', Buffer.from('cos\nsystem\n(X\x04\x00\x00\x00echotR.', 'latin1'), 'os.system'],
    [
      'os.system by STACK_GLOBAL',
      Buffer.from('\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04echo\x85R.', 'latin1'),
      'os.system',
    ],
    ['eval', pickle(call(global('builtins', 'eval'), text('1'))), 'builtins.eval'],
    ['a torch function', pickle(global('torch', 'load')), 'torch.load'],
    ['a member of an allowed name', pickle(global('test', 'sum.__globals__')), 'test.sum.__globals__'],
    ['a member of every object', pickle(global('', 'constructor')), '.constructor'],
  ])('asking for %s is refused by name', (_, bytes, name) => {
    expect(() => read(bytes)).toThrow(
      expect.objectContaining({ code: 'WEIGHTS_UNSAFE_PICKLE', message: expect.stringContaining(`'${name}'`) }),
    );
    expect(() => read(bytes)).toThrow(/Nothing was executed/);
  });

  it.each([
    ['INST, which calls by name', Buffer.from('(ios\nsystem\n.', 'latin1'), /opcode 0x69/],
    ['OBJ', Buffer.from('(o.', 'latin1'), /opcode 0x6f/],
    ['an extension registry', Buffer.from('\x80\x02\x82\x01.', 'latin1'), /opcode 0x82/],
    ['a future protocol', Buffer.from('\x80\x06N.', 'latin1'), /opcode 0x80/],
    ['a call of something that is none', pickle(call(global('test', 'opaque'))), /no allowed function/],
    ['a call of a string', pickle(call(text('eval'))), /no allowed function/],
    ['a state for a string', pickle(build(text('a'), none)), /a state for something/],
    ['a persistent id out of place', pickle(text('a'), Buffer.from('Q')), /persistent id/],
    ['an empty stack', pickle(), /empty stack/],
    ['a tuple without a mark', pickle(truth(true), Buffer.from('t')), /mark expected/],
    ['an append to a number', pickle(int(1), int(2), Buffer.from('a')), /no list/],
    ['items of a list', pickle(list(), int(1), int(2), Buffer.from('s')), /no dict/],
    ['a memory never made', pickle(recall(9)), /reference to 9/],
    ['text that is no UTF-8', pickle(Buffer.from('8c01ff', 'hex')), /not valid/],
    ['an integer of 255 bytes', pickle(Buffer.from('8aff', 'hex'), Buffer.alloc(255)), /255 bytes/],
    ['a global of no text', Buffer.from('\x80\x04K\x01K\x02\x93.', 'latin1'), /without a name/],
  ])('with %s is refused', (_, bytes, message) => {
    expect(() => read(bytes)).toThrow(OrtuneError);
    expect(() => read(bytes)).toThrow(message);
  });
});
