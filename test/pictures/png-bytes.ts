/** PNG files written by hand where no encoder would write them (ISO/IEC 15948). */
import { once } from 'node:events';
import { crc32, createDeflate } from 'node:zlib';

export interface PngOptions {
  readonly width?: number;
  readonly height?: number;
  /** Bits of a sample. Default 8. */
  readonly depth?: number;
  /** 0 grey, 2 RGB (default), 3 palette, 4 grey with alpha, 6 RGB with alpha. */
  readonly colour?: number;
  readonly interlaced?: boolean;
  /** Bytes that every row is filled with, again and again. */
  readonly row?: readonly number[];
  /** Chunks before the pixels. */
  readonly chunks?: readonly Uint8Array[];
}

export const SIGNATURE = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');
const SAMPLES: Record<number, number> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };
/** Adam7: first column and row of each pass, and the steps. */
const PASSES = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;

export function chunk(type: string, data: Uint8Array, checksum?: number): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(checksum ?? crc32(body));
  return Buffer.concat([length, body, sum]);
}

export function header({ width = 48, height = 48, depth = 8, colour = 2, interlaced = false }: PngOptions): Buffer {
  const data = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, depth, colour, 0, 0, Number(interlaced)]);
  data.writeUInt32BE(width, 0);
  data.writeUInt32BE(height, 4);
  return chunk('IHDR', data);
}

/** Deflates a length of zeros, or any pieces, without ever holding them. */
export async function deflated(pieces: Iterable<Uint8Array>): Promise<Buffer> {
  const deflate = createDeflate({ level: 1 });
  const parts: Buffer[] = [];
  deflate.on('data', (part) => parts.push(part));
  const ended = once(deflate, 'end');
  for (const piece of pieces) if (!deflate.write(piece)) await once(deflate, 'drain');
  deflate.end();
  await ended;
  return Buffer.concat(parts);
}

export function* zeros(length: number): Generator<Uint8Array> {
  const piece = new Uint8Array(2 ** 20);
  for (let left = length; left > 0; left -= piece.length) yield piece.subarray(0, left);
}

export async function pngBytes(options: PngOptions = {}): Promise<Buffer> {
  const { chunks = [] } = options;
  const data = await deflated(rows(options));
  return Buffer.concat([SIGNATURE, header(options), ...chunks, chunk('IDAT', data), chunk('IEND', Buffer.alloc(0))]);
}

function* rows(options: PngOptions): Generator<Uint8Array> {
  const { width = 48, height = 48, depth = 8, colour = 2, interlaced = false, row = [200, 100, 50] } = options;
  for (const [left, top, right, down] of interlaced ? PASSES : ([[0, 0, 1, 1]] as const)) {
    const length = Math.ceil((Math.ceil((width - left) / right) * SAMPLES[colour]! * depth) / 8);
    // Filter 0: as they are.
    const bytes = Buffer.alloc(1 + length);
    bytes.fill(Buffer.from(row), 1);
    for (let y = top; y < height && length > 0; y += down) yield bytes;
  }
}
