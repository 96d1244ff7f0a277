import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openWeights, writePaddleFolder } from '../../src/weights/index.ts';
import { encodeRecordHead } from '../../src/weights/paddle-record.ts';
import { shared } from '../shared.ts';
import { failure, temporaryFolder } from './helpers.ts';

const folder = await temporaryFolder();
let folders = 0;

async function folderOf(files: Readonly<Record<string, Uint8Array>>): Promise<string> {
  const path = join(folder, String(folders++));
  await mkdir(path);
  for (const [name, bytes] of Object.entries(files)) await writeFile(join(path, name), bytes);
  return path;
}

interface RecordParts {
  readonly version?: number;
  readonly levels?: bigint;
  readonly tensorVersion?: number;
  readonly description?: Buffer;
  /** What the record says of the description's length. */
  readonly length?: number;
  readonly values?: Buffer;
}

/** A record by its parts, in the layout of Paddle's `SerializeToStream`. */
function record(parts: RecordParts): Buffer {
  const { version = 0, levels = 0n, tensorVersion = 0, values = Buffer.alloc(8) } = parts;
  const { description = Buffer.from('08051002', 'hex') } = parts;
  const { length = description.length } = parts;
  const head = Buffer.alloc(20);
  head.writeUInt32LE(version, 0);
  head.writeBigUInt64LE(levels, 4);
  head.writeUInt32LE(tensorVersion, 12);
  head.writeInt32LE(length, 16);
  return Buffer.concat([head, description, values]);
}

describe('a Paddle variable', () => {
  it('may have packed dims', async () => {
    const path = await folderOf({
      w: record({ description: Buffer.from('08051203020104', 'hex'), values: Buffer.alloc(32) }),
    });
    expect((await openWeights(path)).tensors.get('w')).toMatchObject({ type: 'float32', dims: [2, 1, 4] });
  });

  it('cut at any byte is refused, or counted as no variable before its version is whole', async () => {
    const whole = record({});
    for (let length = 0; length < whole.length; length++) {
      const path = await folderOf({ w: whole.subarray(0, length), other: whole });
      if (length < 4) expect((await openWeights(path)).ignored).toEqual(['w']);
      else expect((await failure(openWeights(path))).code, `${length} bytes`).toMatch(/^WEIGHTS_(TRUNCATED|INVALID)$/);
    }
  });

  it.each([
    [
      'bytes after the values',
      { values: Buffer.alloc(12) },
      /expected 8 bytes of values for float32 \[2\], received 12/,
    ],
    ['too many levels of detail', { levels: 2n ** 60n }, /at most 16 levels/],
    ['a level longer than the file', { levels: 1n, tensorVersion: 0x7fffffff }, /cut short/],
    ['another tensor version', { tensorVersion: 1 }, /tensor version 0, received 1/],
    ['a negative description', { length: -1 }, /description of at most 4096 bytes, received -1/],
    ['a huge description', { length: 2 ** 30 }, /description of at most 4096 bytes/],
    ['a broken description', { description: Buffer.from('0805ffff', 'hex') }, /TensorDesc/],
    ['no type', { description: Buffer.from('1002', 'hex') }, /data types/],
    ['an unknown type', { description: Buffer.from('08631002', 'hex') }, /data types 0 \(bool\).*received 99/],
    ['a negative dim', { description: Buffer.from('080510ffffffffffffffffff01', 'hex') }, /shape of whole numbers.*-1/],
    [
      'dims that overflow',
      { description: Buffer.from('0805108080808080808001108080808080808001', 'hex') },
      /shape of whole numbers/,
    ],
  ])('%s', async (_, parts, message) => {
    const error = await failure(openWeights(await folderOf({ w: record(parts) })));
    expect(error.message).toMatch(message);
    expect(error.message).toContain('/w');
  });
});

describe('a Paddle folder', () => {
  it('lists what is no variable as ignored', async () => {
    const path = await folderOf({ w: record({}), 'README.md': Buffer.from('# weights') });
    await mkdir(join(path, 'folder'));
    const file = await openWeights(path);
    expect([...file.tensors.keys()]).toEqual(['w']);
    expect(file.ignored).toEqual(['README.md', 'folder']);
  });

  it('without any variable is refused', async () => {
    expect((await failure(openWeights(await folderOf({})))).message).toMatch(/an empty folder/);
    expect((await failure(openWeights(await folderOf({ 'a.txt': Buffer.from('text') })))).message).toMatch(
      /among 1: a\.txt/,
    );
  });
});

describe('a Paddle combined file', () => {
  it('cut at any byte but between records is refused', async () => {
    const whole = Buffer.concat([record({}), record({ description: Buffer.from('08031001', 'hex') })]);
    const middle = whole.length / 2;
    for (let length = 4; length < whole.length; length++) {
      const path = await folderOf({ __params__: whole.subarray(0, length) });
      if (length === middle) continue;
      expect((await failure(openWeights(path))).code, `${length} bytes`).toMatch(/^WEIGHTS_(TRUNCATED|INVALID)$/);
    }
    const file = await openWeights(await folderOf({ __params__: whole }));
    expect([...file.tensors.values()].map(({ type, dims }) => [type, dims])).toEqual([
      ['float32', [2]],
      ['int64', [1]],
    ]);
    await file.close();
  });
});

describe('writePaddleFolder', () => {
  const variable = (name: string, ...data: number[]) => ({ name, dims: [data.length], data: Float32Array.from(data) });

  it('writes the record of the format', () => {
    expect(Buffer.from(encodeRecordHead([64, 3, 7, 7])).toString('hex')).toBe(
      `${'00'.repeat(16)}0a00000008051040100310071007`,
    );
    expect(Buffer.from(encodeRecordHead([2048, 1000])).toString('hex')).toBe(
      `${'00'.repeat(16)}08000000080510801010e807`,
    );
  });

  it('is read back, of a view too', async () => {
    const path = join(folder, 'written');
    const values = Float32Array.of(9, 1, 2, 3, 4, 5, 6, 9).subarray(1, 7);
    await writePaddleFolder(path, [{ name: 'w', dims: [2, 3], data: values }, variable('fc_0.b_0', 7)]);
    const file = await openWeights(path);
    expect(await file.read('w')).toMatchObject({
      type: 'float32',
      dims: [2, 3],
      data: Float32Array.of(1, 2, 3, 4, 5, 6),
    });
    expect((await file.read('fc_0.b_0')).data).toEqual(Float32Array.of(7));
  });

  it('does not mix with what is there', async () => {
    const error = await failure(writePaddleFolder(await folderOf({ old: record({}) }), [variable('w', 1)]));
    expect(error.code).toBe('WEIGHTS_FOLDER_IN_USE');
  });

  it.each(['../w', 'a/b', 'a\\b', '..', '.', '', 'a\0'])('refuses the name %j', async (name) => {
    expect((await failure(writePaddleFolder(join(folder, String(folders++)), [variable(name, 1)]))).code).toBe(
      'WEIGHTS_INVALID',
    );
  });

  it('refuses a shape that is not the data', async () => {
    const wrong = { name: 'w', dims: [2, 2], data: new Float32Array(3) };
    expect((await failure(writePaddleFolder(join(folder, String(folders++)), [wrong]))).message).toMatch(
      /'w'.*\[2, 2\].*received 3/,
    );
  });

  it.skipIf(!shared)('writes the very bytes that paddle 2.6.2 writes (needs ORTUNE_SHARED)', async () => {
    const theirs = `${shared}/fixtures/paddle/vars`;
    const file = await openWeights(theirs);
    const floats = [...file.tensors.values()].filter(({ name, type }) => type === 'float32' && name !== 'with_lod');
    expect(floats).toHaveLength(8);
    const variables = await Promise.all(
      floats.map(async ({ name, dims }) => ({ name, dims, data: (await file.read(name)).data as Float32Array })),
    );
    const ours = join(folder, 'ours');
    await writePaddleFolder(ours, variables);
    for (const { name } of floats)
      expect((await readFile(join(ours, name))).equals(await readFile(join(theirs, name))), name).toBe(true);
  });
});
