import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32, deflateRawSync } from 'node:zlib';
import { afterAll } from 'vitest';
import { buildResNet, type ResNetOptions } from '../../onnx/resnet.ts';
import { OrtuneError } from '../../src/errors.ts';
import { openWeights, type ParameterSpec, type WeightFile } from '../../src/weights/index.ts';

/** A folder for one test file, removed after it. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ortune-weights-'));
  afterAll(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Opens weights from bytes. */
export async function openBytes(folder: string, bytes: Uint8Array | string): Promise<WeightFile> {
  const path = join(folder, `file-${openBytes.count++}`);
  await writeFile(path, bytes);
  return openWeights(path);
}
openBytes.count = 0;

/** What a call fails with; anything but an OrtuneError is a defect and is thrown on. */
export async function failure(call: Promise<unknown>): Promise<OrtuneError> {
  try {
    await call;
  } catch (error) {
    if (error instanceof OrtuneError) return error;
    throw error;
  }
  throw new Error('expected an OrtuneError, but nothing was thrown');
}

/** A network's parameters, as the graph builder names them. */
export function resnetParameters(options: Partial<ResNetOptions>): ParameterSpec[] {
  const zeros = (_name: string, dims: readonly number[]) =>
    new Float32Array(dims.reduce((product, length) => product * length, 1));
  const { initializers } = buildResNet(options, zeros).graph;
  return [...initializers.values()]
    .filter(({ name }) => /^(conv1_|bn|res|fc_0)/.test(name))
    .map(({ name, dims }) => ({ name, dims }));
}

export interface SafetensorsEntry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly number[];
}

/** A safetensors file from its parts; the header is padded with spaces to `headerBytes`. */
export function safetensors(header: unknown, data: Uint8Array, headerBytes = 0): Buffer {
  const text = Buffer.from((typeof header === 'string' ? header : JSON.stringify(header)).padEnd(headerBytes));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, data]);
}

/** A safetensors file of float32 tensors. */
export function floatSafetensors(
  tensors: Readonly<Record<string, { dims: readonly number[]; data: readonly number[] }>>,
): Buffer {
  const header: Record<string, SafetensorsEntry> = {};
  const parts: Buffer[] = [];
  let end = 0;
  for (const [name, { dims, data }] of Object.entries(tensors)) {
    header[name] = { dtype: 'F32', shape: dims, data_offsets: [end, end + 4 * data.length] };
    end += 4 * data.length;
    parts.push(Buffer.from(Float32Array.from(data).buffer));
  }
  return safetensors(header, Buffer.concat(parts));
}

/** A zip archive (APPNOTE.TXT 4.3) of entries, stored or deflated. */
export function zip(
  entries: Readonly<Record<string, Uint8Array | string>>,
  { deflate = false, size = undefined as number | undefined } = {},
): Buffer {
  const files: Buffer[] = [];
  const directory: Buffer[] = [];
  let position = 0;
  for (const [name, content] of Object.entries(entries)) {
    const raw = Buffer.from(content);
    const data = deflate ? deflateRawSync(raw) : raw;
    const shared = Buffer.alloc(26);
    shared.writeUInt16LE(20, 0);
    shared.writeUInt16LE(deflate ? 8 : 0, 4);
    shared.writeUInt32LE(crc32(raw), 10);
    shared.writeUInt32LE(data.length, 14);
    shared.writeUInt32LE(size ?? raw.length, 18);
    shared.writeUInt16LE(name.length, 22);
    const local = Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), shared, Buffer.from(name), data]);
    const central = Buffer.alloc(46);
    central.write('PK\x01\x02', 0, 'latin1');
    central.writeUInt16LE(20, 4);
    shared.copy(central, 6);
    central.writeUInt32LE(position, 42);
    files.push(local);
    directory.push(central, Buffer.from(name));
    position += local.length;
  }
  const tail = Buffer.alloc(22);
  tail.write('PK\x05\x06', 0, 'latin1');
  tail.writeUInt16LE(files.length, 8);
  tail.writeUInt16LE(files.length, 10);
  const central = Buffer.concat(directory);
  tail.writeUInt32LE(central.length, 12);
  tail.writeUInt32LE(position, 16);
  return Buffer.concat([...files, central, tail]);
}
