import { describe, expect, it } from 'vitest';
import { failure, openBytes, temporaryFolder } from './helpers.ts';
import {
  binary,
  build,
  call,
  dict,
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

const folder = await temporaryFolder();
const VALUES = Buffer.from(Float32Array.of(0, 1, 2, 3, 4, 5).buffer);

interface ArrayParts {
  readonly type?: string;
  readonly order?: string;
  readonly dims?: Buffer;
  readonly columnMajor?: boolean;
  readonly data?: Buffer;
  readonly module?: string;
}

/** A numpy array as `ndarray.__reduce__` has it. */
function array({
  type = 'f4',
  order = '<',
  dims = tuple(int(2), int(3)),
  columnMajor = false,
  data = VALUES,
  module = 'numpy.core',
}: ArrayParts): Buffer {
  const kind = call(global('numpy', 'dtype'), text(type), truth(false), truth(true));
  const dtype = build(kind, tuple(int(3), text(order), none, none, none, int(-1), int(-1), int(0)));
  const empty = call(
    global(`${module}.multiarray`, '_reconstruct'),
    global('numpy', 'ndarray'),
    tuple(int(0)),
    binary(Buffer.from('b')),
  );
  return build(empty, tuple(int(1), dims, dtype, truth(columnMajor), binary(data)));
}

const open = (root: Buffer) => openBytes(folder, pickle(root));

describe('a .pdparams file', () => {
  it('gives its arrays, and passes over the table of names', async () => {
    const file = await open(dict({ w: array({}), 'StructuredToParameterName@@': dict({ a: text('w') }) }));
    expect(file.format).toBe('paddle-state');
    expect([...file.tensors.keys()]).toEqual(['w']);
    expect(await file.read('w')).toMatchObject({ dims: [2, 3], data: Float32Array.of(0, 1, 2, 3, 4, 5) });
  });

  it('may hold column-major arrays, and those of numpy 2', async () => {
    const file = await open(dict({ w: array({ columnMajor: true, module: 'numpy._core' }) }));
    expect((await file.read('w')).data).toEqual(Float32Array.of(0, 2, 4, 1, 3, 5));
  });

  it.each([
    ['big-endian values', array({ order: '>' }), /little-endian/],
    ['an unknown type', array({ type: 'O8' }), /received 'O8'/],
    ['too few bytes', array({ data: VALUES.subarray(4) }), /expected 24 bytes.*received 20/],
    ['a negative shape', array({ dims: tuple(int(-2), int(-3)) }), /shape, type and bytes/],
    // Sixty lists, each twice in the next: 2^60 items if anything spelled them out.
    [
      'a shape that shares lists exponentially',
      array({
        dims: Array.from({ length: 60 }).reduce<Buffer>(
          (inner, _, key) => tuple(remember(inner, key), recall(key)),
          list(),
        ),
      }),
      /shape, type and bytes/,
    ],
    ['a dangerous global', call(global('os', 'system'), text('true')), /'os\.system'/],
    ['no array', text('w'), /no array/],
  ])('with %s is refused', async (_, value, message) => {
    expect((await failure(open(dict({ w: value })))).message).toMatch(message);
  });

  it('cut anywhere is refused', async () => {
    const whole = pickle(dict({ w: array({}) }));
    for (let length = 0; length < whole.length; length++) {
      expect((await failure(openBytes(folder, whole.subarray(0, length)))).code).toMatch(/^WEIGHTS_(FORMAT|INVALID)$/);
    }
  });
});
