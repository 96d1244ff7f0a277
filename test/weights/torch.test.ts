import { describe, expect, it } from 'vitest';
import { failure, openBytes, temporaryFolder, zip } from './helpers.ts';
import {
  call,
  dict,
  global,
  int,
  list,
  orderedDict,
  pickle,
  recall,
  remember,
  storage,
  tensor,
  text,
  truth,
} from './pickle-assembler.ts';

const folder = await temporaryFolder();
const floats = (...values: number[]) => Buffer.from(Float32Array.from(values).buffer);
const weight = (dims: number[], strides: number[], offset = 0, length = 6) =>
  tensor(storage('0', length), offset, dims, strides);
const VALUES = floats(0, 1, 2, 3, 4, 5);

type Entries = Record<string, Uint8Array | string>;
const archive = (root: Buffer, more: Entries = {}) => ({
  'archive/data.pkl': pickle(root),
  'archive/data/0': VALUES,
  ...more,
});

/** A file of torch before 1.6: five pickles, then the storages. */
function legacy(
  root: Buffer,
  { keys = ['0'], lengths = [6], values = VALUES, littleEndian = true, protocol = 1001 } = {},
): Buffer {
  const magic = Buffer.from('80028a0a6cfc9c46f9206aa850192e', 'hex');
  const system = dict({ protocol_version: int(protocol), little_endian: truth(littleEndian) });
  const storages = lengths.flatMap((length) => {
    const head = Buffer.alloc(8);
    head.writeBigUInt64LE(BigInt(length));
    return [head, values];
  });
  return Buffer.concat([
    magic,
    pickle(int(protocol)),
    pickle(system),
    pickle(root),
    pickle(list(...keys.map(text))),
    ...storages,
  ]);
}

const BOTH: readonly (readonly [string, (root: Buffer) => Buffer])[] = [
  ['zip', (root) => zip(archive(root))],
  // Only a pickle that names a storage is followed by one.
  ['legacy', (root) => legacy(root, root.includes('storage') ? {} : { keys: [], lengths: [] })],
];

describe.each(BOTH)('a torch file (%s)', (_, fileOf) => {
  const readW = async (root: Buffer) => {
    const file = await openBytes(folder, fileOf(root));
    const { data } = await file.read('w');
    await file.close();
    return [...data].map(Number);
  };

  it('gives views in row-major order', async () => {
    expect(await readW(dict({ w: weight([2, 3], [3, 1]) }))).toEqual([0, 1, 2, 3, 4, 5]);
    expect(await readW(dict({ w: weight([3, 2], [1, 3]) }))).toEqual([0, 3, 1, 4, 2, 5]);
    expect(await readW(dict({ w: weight([2], [2], 1) }))).toEqual([1, 3]);
    expect(await readW(dict({ w: weight([], [], 4) }))).toEqual([4]);
    expect(await readW(dict({ w: weight([0, 3], [3, 1]) }))).toEqual([]);
  });

  it('is found within a checkpoint, beside other things', async () => {
    const state = orderedDict({ w: weight([1], [1], 5), _extra_state: text('x') });
    for (const key of ['state_dict', 'model', 'model_state_dict']) {
      const best = weight([], []);
      expect(await readW(dict({ epoch: int(3), [key]: state, best_acc1: best }))).toEqual([5]);
    }
    expect(await readW(dict({ model: dict({ state_dict: state }) }))).toEqual([5]);
    expect(
      await readW(dict({ w: call(global('torch._utils', '_rebuild_parameter'), weight([1], [1], 5), truth(true)) })),
    ).toEqual([5]);
  });

  it('without a dict of tensors is refused by its keys', async () => {
    expect((await failure(openBytes(folder, fileOf(dict({ epoch: int(1), lr: int(2) }))))).message).toMatch(
      /keys 'epoch', 'lr'/,
    );
    expect((await failure(openBytes(folder, fileOf(text('hello'))))).message).toMatch(/received 'hello'/);
    // A dict that holds itself must not be walked for ever.
    const loop = Buffer.concat([remember(Buffer.from('}'), 1), text('model'), recall(1), Buffer.from('s')]);
    expect((await failure(openBytes(folder, fileOf(loop)))).message).toMatch(/keys 'model'/);
  });

  it.each([
    ['past the end', weight([7], [1])],
    ['from past the end', weight([1], [1], 6)],
    ['with strides past the end', weight([2, 2], [5, 1])],
    ['with negative strides', weight([2], [-1], 3)],
    ['with a negative offset', weight([2], [1], -1)],
    ['with fewer strides than dims', weight([2, 3], [1])],
    ['expanded to more than there is', weight([1_000_000_000], [0])],
    ['that overflows', weight([2 ** 40, 2 ** 40], [0, 0])],
    ['of a negative storage', tensor(storage('0', -6), 0, [1], [1])],
    ['of no storage', tensor(text('0'), 0, [1], [1])],
  ])('a view %s is refused', async (_name, view) => {
    expect((await failure(openBytes(folder, fileOf(dict({ w: view }))))).code).toBe('WEIGHTS_INVALID');
  });

  it('that asks for os.system is refused, and nothing runs', async () => {
    const error = await failure(openBytes(folder, fileOf(call(global('os', 'system'), text('touch /tmp/ran')))));
    expect(error.code).toBe('WEIGHTS_UNSAFE_PICKLE');
    expect(error.message).toMatch(/'os\.system'.*Nothing was executed/);
  });

  it('of a whole model is refused with the remedy', async () => {
    const error = await failure(openBytes(folder, fileOf(global('torchvision.models.resnet', 'ResNet'))));
    expect(error.message).toMatch(/'torchvision\.models\.resnet\.ResNet'.*state_dict/);
  });

  it('cut anywhere is refused', async () => {
    const whole = fileOf(dict({ w: weight([6], [1]) }));
    for (let length = 0; length < whole.length; length++) {
      expect((await failure(openBytes(folder, whole.subarray(0, length)))).code, `${length} bytes`).toMatch(
        /^WEIGHTS_(FORMAT|TRUNCATED|INVALID)$/,
      );
    }
  });
});

describe('a torch zip', () => {
  const root = dict({ w: weight([6], [1]) });
  const readError = async (bytes: Buffer) => {
    const file = await openBytes(folder, bytes);
    const error = await failure(file.read('w'));
    await file.close();
    return error.message;
  };

  it('may be deflated', async () => {
    const file = await openBytes(folder, zip(archive(root), { deflate: true }));
    expect((await file.read('w')).data).toEqual(Float32Array.of(0, 1, 2, 3, 4, 5));
    await file.close();
  });

  it('may say that it is little-endian', async () => {
    const file = await openBytes(folder, zip(archive(root, { 'archive/byteorder': 'little' })));
    expect(file.tensors.size).toBe(1);
    await file.close();
    const error = await failure(openBytes(folder, zip(archive(root, { 'archive/byteorder': 'big' }))));
    expect(error.message).toMatch(/byte order 'big'/);
  });

  it('whose storage is missing, short, long or damaged is refused', async () => {
    const { 'archive/data/0': _, ...without } = archive(root);
    expect(await readError(zip(without))).toMatch(/'archive\/data\/0', but there is none/);
    expect(await readError(zip({ ...without, 'archive/data/0': VALUES.subarray(4) }))).toMatch(
      /24 bytes in storage '0', received 20/,
    );
    expect(await readError(zip({ ...without, 'archive/data/0': Buffer.alloc(28) }))).toMatch(/at most 24 bytes/);
    const damaged = zip(archive(root));
    damaged[damaged.indexOf(VALUES) + 7]! ^= 1;
    expect(await readError(damaged)).toMatch(/checksum/);
  });

  it('with a lie about a size is refused before memory is set aside', async () => {
    const bomb = zip(archive(root), { deflate: true, size: 0xf0000000 });
    expect((await failure(openBytes(folder, bomb))).message).toMatch(
      /at most \d+ bytes in 'archive\/data\.pkl', received 4026531840/,
    );
  });

  it('with a name that leads out of it, or two of one name, is refused', async () => {
    expect((await failure(openBytes(folder, zip({ ...archive(root), '../evil': 'x' })))).message).toMatch(
      /sound zip archive.*evil/,
    );
    const twice = zip({ ...archive(root), 'archive/data/1': VALUES });
    const changed = Buffer.from(twice.toString('latin1').replaceAll('archive/data/1', 'archive/data/0'), 'latin1');
    expect((await failure(openBytes(folder, changed))).message).toMatch(/two entries 'archive\/data\/0'/);
  });

  it('that is a TorchScript program is refused', async () => {
    const error = await failure(openBytes(folder, zip(archive(root, { 'archive/constants.pkl': pickle(list()) }))));
    expect(error.message).toMatch(/TorchScript/);
  });
});

describe('a legacy torch file', () => {
  const root = dict({ w: weight([6], [1]) });

  it.each([
    ['another protocol', legacy(root, { protocol: 1002 }), /protocol 1001.*received 1002/],
    ['big-endian values', legacy(root, { littleEndian: false }), /big-endian/],
    [
      'another length than the pickle says',
      legacy(root, { lengths: [5] }),
      /expected 6 elements in storage '0', received 5/,
    ],
    ['a storage that no tensor uses', legacy(root, { keys: ['0', '1'], lengths: [6, 6] }), /'1' is listed/],
    [
      'two types of one storage',
      legacy(dict({ w: weight([6], [1]), v: tensor(storage('0', 6, 'LongStorage'), 0, [6], [1]) })),
      /received two/,
    ],
  ])('with %s is refused', async (_, bytes, message) => {
    expect((await failure(openBytes(folder, bytes))).message).toMatch(message);
  });

  it('without the elements of a storage is refused when they are read', async () => {
    const file = await openBytes(folder, legacy(root, { keys: [], lengths: [] }));
    expect((await failure(file.read('w'))).message).toMatch(/storage '0', but there are none/);
    await file.close();
  });
});
