/** What damaged files did to their readers, each once. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateSync, gzipSync } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import { encodeModel, networkOf } from '../../onnx/index.ts';
import { decodeModel } from '../../onnx/model.ts';
import { ModelProto, type TensorMessage } from '../../onnx/proto.ts';
import { unpackPictures } from '../../src/data/archive.ts';
import { readMat } from '../../src/data/mat.ts';
import { unpack } from '../../src/download/unpack.ts';
import { trainedOn } from '../../src/inference/evaluate.ts';
import { readModelFile } from '../../src/inference/model-file.ts';
import { Progress } from '../../src/progress/index.ts';
import { writeRecord } from '../../src/progress/records.ts';
import { Random } from '../../src/random.ts';
import { openWeights } from '../../src/weights/index.ts';
import { element, header, matrix } from '../data/mat-bytes.ts';
import { tar, writeChecksum } from '../data/tgz.ts';
import { zipOf } from '../download/archives.ts';
import { tinyNet } from '../onnx/tiny-nets.ts';
import {
  call,
  dict,
  global,
  int,
  list,
  pickle,
  recall,
  remember,
  storage,
  tensor,
  text,
  tuple,
} from '../weights/pickle-assembler.ts';

const folder = await mkdtemp(join(tmpdir(), 'ortune-findings-'));
afterAll(() => rm(folder, { recursive: true }));

const fileOf = async (name: string, bytes: Uint8Array | string) => {
  const path = join(folder, name);
  await writeFile(path, bytes);
  return path;
};
const onnx = (...initializer: TensorMessage[]) => ModelProto.encode({ irVersion: 8, graph: { initializer } }).finish();

describe('weights', () => {
  const VALUES = Buffer.alloc(4);
  const torch = (root: Buffer) =>
    zipOf([
      { name: 'a/data.pkl', data: pickle(root) },
      { name: 'a/data/0', data: VALUES },
    ]);
  const ones = (count: number) => new Array<number>(count).fill(1);

  it('of more dimensions than a tensor has are refused: laying out a million of them took minutes', async () => {
    const refusal = { code: 'WEIGHTS_INVALID' };
    const ofTorch = (count: number) => torch(dict({ w: tensor(storage('0', 1), 0, ones(count), ones(count)) }));
    await expect(openWeights(await fileOf('dims.pth', ofTorch(65)))).rejects.toMatchObject({
      ...refusal,
      // Before they are looked at one by one: many tensors could have the same million.
      message: expect.stringContaining('made of storage, offset, shape and strides'),
    });
    await (await openWeights(await fileOf('dims.pth', ofTorch(64)))).close();
    const ofOnnx = (count: number) => onnx({ name: 'w', dataType: 1, dims: ones(count), rawData: VALUES });
    await expect(openWeights(await fileOf('dims.onnx', ofOnnx(65)))).rejects.toMatchObject({
      ...refusal,
      message: expect.stringContaining('at most 64 dimensions, received 65'),
    });
    await (await openWeights(await fileOf('dims.onnx', ofOnnx(64)))).close();
  });

  it('whose pickle gives one list to a thousand calls are refused: a dict was made of it each time', async () => {
    const pairs = remember(list(...ones(1000).map((_, at) => tuple(int(at), int(1)))), 1);
    const ordered = remember(global('collections', 'OrderedDict'), 2);
    const w = text('w');
    const weight = tensor(storage('0', 1), 0, [1], [1]);
    const again = (times: number) => tuple(pairs, ordered, ...ones(times).map(() => call(recall(2), recall(1))));
    const rooted = (times: number) =>
      torch(call(global('collections', 'OrderedDict'), list(tuple(w, weight), tuple(text('x'), again(times)))));
    await expect(openWeights(await fileOf('calls.pth', rooted(1000)))).rejects.toMatchObject({
      code: 'WEIGHTS_INVALID',
      message: expect.stringContaining('more items in calls than it has bytes'),
    });
    // As Python 2 wrote them, each with its own.
    const file = await openWeights(await fileOf('calls.pth', rooted(1)));
    expect([...file.tensors.keys()]).toEqual(['w']);
    await file.close();
  });

  it('that an ONNX model has in a folder are refused', async () => {
    await mkdir(join(folder, 'values'));
    const externalData = [{ key: 'location', value: 'values' }];
    const model = onnx({ name: 'w', dataType: 1, dims: [1], dataLocation: 1, externalData });
    const file = await openWeights(await fileOf('folder.onnx', model));
    await expect(file.read('w')).rejects.toMatchObject({ code: 'WEIGHTS_INVALID' });
  });
});

describe('a model', () => {
  it('of negative dimensions is refused', () => {
    const model = onnx({ name: 'w', dataType: 1, dims: [-1, -1], rawData: new Uint8Array(4) });
    expect(() => decodeModel(model)).toThrow(expect.objectContaining({ code: 'ONNX_INVALID' }));
  });

  it.each(['{', 'null', '[', '"x"', '{"depth":51}', '{"width":{"toString":null}}'])(
    'whose network is %s is refused',
    (network) => {
      const tiny = tinyNet((_, pixels) => pixels);
      const model = decodeModel(encodeModel({ ...tiny, metadata: new Map([['ortune.network', network]]) }));
      expect(() => networkOf(model)).toThrow(expect.objectContaining({ code: 'ONNX_INVALID' }));
    },
  );

  it('beside a record that names no text as its file is read', async () => {
    const bytes = encodeModel(tinyNet((_, pixels) => pixels));
    await fileOf('recorded.json', '{"file":{"toString":null,"valueOf":null},"sha256":"ab"}');
    expect((await readModelFile(await fileOf('recorded.onnx', bytes))).bytes).toBe(bytes.length);
  });

  it('whose run.json is null says nothing of its data', async () => {
    await fileOf('run.json', 'null');
    expect(await trainedOn(folder)).toEqual({});
  });
});

describe('an archive', () => {
  /** A size whose first byte is neither an octal digit nor the mark of base 256. */
  function unreadable(): Buffer {
    const bytes = tar([{ name: 'jpg/image_00001.jpg', content: 'picture' }]);
    bytes[124] = 0x81;
    writeChecksum(bytes.subarray(0, 512));
    return gzipSync(bytes);
  }

  it('with a file of a size that cannot be read is refused: its contents were waited for without end', async () => {
    const archive = await fileOf('size.tgz', unreadable());
    const refusal = { code: 'ARCHIVE_INVALID', message: expect.stringContaining('no readable size') };
    await expect(unpack(archive, join(folder, 'unpacked'))).rejects.toMatchObject(refusal);
    const options = { wants: () => true, cacheFolder: join(folder, 'cache') };
    await expect(unpackPictures(archive, options)).rejects.toMatchObject(refusal);
  });

  it('that breaks off within a picture is refused: it was the error of zlib that came', async () => {
    const random = new Random(1, 'picture');
    const content = Uint8Array.from({ length: 2 ** 20 }, () => random.integer(256));
    const whole = gzipSync(tar([{ name: 'a.jpg', content }]));
    const archive = await fileOf('half.tgz', whole.subarray(0, whole.length / 2));
    const unpacking = unpackPictures(archive, { wants: () => true, cacheFolder: join(folder, 'half') });
    await expect(unpacking).rejects.toMatchObject({ code: 'ARCHIVE_INVALID' });
  });

  it.each(['"a.jpg",5,2', '"a.jpg",9,7'])('is unpacked anew where what was kept of it has %s', async (range) => {
    const archive = await fileOf('kept.tgz', gzipSync(tar([{ name: 'a.jpg', content: 'picture' }])));
    const options = { wants: () => true, cacheFolder: join(folder, 'kept') };
    const { ranges } = await unpackPictures(archive, options);
    const { path } = ranges.get('a.jpg')!;
    const kept = await readFile(path, 'latin1');
    const damaged = kept.replace('"a.jpg",0,7', range);
    expect(damaged).not.toBe(kept);
    await writeFile(path, damaged, 'latin1');
    expect((await unpackPictures(archive, options)).ranges).toEqual(ranges);
    expect(await readFile(path, 'latin1')).toBe(kept);
  });
});

it('a MAT file whose variables unpack to more than 16 MiB together is refused', () => {
  const zeros = matrix({ name: 'x', values: new Array(2 ** 20).fill(0) });
  const variable = element(15, deflateSync(zeros));
  const file = (count: number) => Buffer.concat([header(), ...new Array<Uint8Array>(count).fill(variable)]);
  expect(readMat(file(1), 'x.mat').get('x')?.dims).toEqual([1, 2 ** 20]);
  expect(() => readMat(file(2), 'x.mat')).toThrow(expect.objectContaining({ code: 'MAT_INVALID' }));
});

describe('the record of a run', () => {
  const fingerprint = { passes: 2 };
  const record = {
    ...{ pass: 0, batches: 1, updates: 1, learningRate: 0.1, done: 2, trainedMs: 1, waitedMs: 0, ended: false },
    ...{ cost: [1, 1], accuracy: [1, 1], history: [], steps: [], rollbacks: [], top: [], progress: { waited: 0 } },
  };
  const state = (changed: object = {}) => Buffer.from(JSON.stringify({ fingerprint, record, ...changed }));
  let runs = 0;

  /** Writes a sound record and one whose checksums agree, but that is damaged; what a run goes on from then, and is told. */
  async function resumed(files: Record<string, Uint8Array>, manifest?: string): Promise<[number | undefined, string]> {
    const out = join(folder, `run-${runs++}`);
    const progress = `${out}.progress`;
    await writeRecord(progress, 1, { checkpoint: Buffer.from('x'), 'state.json': state() });
    await writeRecord(progress, 2, { checkpoint: Buffer.from('x'), ...files });
    if (manifest !== undefined) await writeFile(join(progress, '000002', 'manifest.json'), manifest);
    const notes: string[] = [];
    const emit = (event: { type: string; text?: string }) => notes.push(String(event.text));
    await using found = await Progress.open({ out, resume: true, every: 600, fingerprint, emit });
    return [Number(found.found?.folder.slice(-6)), notes.join('\n')];
  }

  it('is used while it is whole', async () => {
    const best = { kept: 0, values: [['w', 4]] };
    const whole = { 'state.json': state({ best }), 'best.bin': Buffer.alloc(4) };
    expect(await resumed(whole)).toEqual([2, '']);
  });

  it('of an option called as what every object has is told of as changed', async () => {
    const changed = resumed({ 'state.json': state({ fingerprint: { ...fingerprint, toString: 1, constructor: 2 } }) });
    await expect(changed).rejects.toMatchObject({
      code: 'RESUME_CHANGED',
      message: expect.stringMatching(/toString: 1 before, nothing now\n {2}constructor: 2 before, nothing now/),
    });
  });

  it.each<[string, Record<string, Uint8Array>, RegExp]>([
    ['lacks its state', {}, /ENOENT/],
    ['has half a state', { 'state.json': state().subarray(0, 40) }, /JSON/],
    ['has null as its state', { 'state.json': Buffer.from('null') }, /expected object/],
    ['stands nowhere', { 'state.json': state({ record: { ...record, updates: null } }) }, /record\.updates/],
    [
      'has fewer values than it says',
      { 'state.json': state({ best: { kept: 0, values: [['w', 8]] } }), 'best.bin': Buffer.alloc(4) },
      /best\.bin has 4 bytes, expected 8/,
    ],
  ])('is passed over for the one before where it %s', async (_, files, reason) => {
    expect(await resumed(files)).toEqual([1, expect.stringMatching(reason)]);
  });

  it.each(['null', '[]', '{"checkpoint":null}', '{"checkpoint":{"bytes":"1"}}'])(
    'is passed over for the one before where its manifest is %s',
    async (manifest) => {
      expect(await resumed({ 'state.json': state() }, manifest)).toEqual([1, expect.stringContaining('manifest.json')]);
    },
  );
});
