/** JPEG files of one colour, written by hand where no encoder would write them (ITU T.81; Adobe's marker: TN 5116). */

interface JpegOptions {
  readonly width?: number;
  readonly height?: number;
  /** Value of each component as stored: 1 is grey, 3 YCbCr, 4 CMYK. */
  readonly components: readonly number[];
  /** The colour transform that Adobe's marker names: 0 none, 1 YCbCr, 2 YCCK. No marker by default. */
  readonly adobe?: number;
  /** Blocks between restart markers. */
  readonly restart?: number;
  /** Blocks written in all, for files that declare more than they hold. */
  readonly blocks?: number;
  /** Bits of a sample; 8 by default. */
  readonly precision?: number;
  /** Segments before the frame, as made by `segment`. */
  readonly segments?: readonly Uint8Array[];
}

export function segment(marker: number, content: Uint8Array): Buffer {
  const head = Buffer.from([0xff, marker, 0, 0]);
  head.writeUInt16BE(content.length + 2, 2);
  return Buffer.concat([head, content]);
}

export function jpegBytes(options: JpegOptions): Buffer {
  const { width = 48, height = 48, components, adobe, restart = 0, precision = 8, segments = [] } = options;
  const ids = components.map((_, index) => index + 1);
  const frame = Buffer.from([precision, 0, 0, 0, 0, ids.length, ...ids.flatMap((id) => [id, 0x11, 0])]);
  frame.writeUInt16BE(height, 1);
  frame.writeUInt16BE(width, 3);
  return Buffer.concat([
    Buffer.from([0xff, 0xd8]),
    ...segments,
    ...(adobe === undefined ? [] : [segment(0xee, Buffer.from([...Buffer.from('Adobe'), 0, 100, 0, 0, 0, 0, adobe]))]),
    segment(0xdb, Buffer.alloc(65, 8).fill(0, 0, 1)),
    segment(0xc0, frame),
    // DC: twelve codes of four bits for the lengths 0 to 11. AC: one code, for the end of the block.
    segment(0xc4, Buffer.from([0x00, 0, 0, 0, 12, ...Array(12).fill(0), ...Array(12).keys()])),
    segment(0xc4, Buffer.from([0x10, 1, ...Array(15).fill(0), 0])),
    ...(restart > 0 ? [segment(0xdd, Buffer.from([restart >> 8, restart & 255]))] : []),
    segment(0xda, Buffer.from([ids.length, ...ids.flatMap((id) => [id, 0]), 0, 63, 0])),
    scan(components, options.blocks ?? Math.ceil(width / 8) * Math.ceil(height / 8), restart),
    Buffer.from([0xff, 0xd9]),
  ]);
}

/** The quantum is 8, so the first difference of a block's mean is its distance from 128, and the others are 0. */
function scan(components: readonly number[], blocks: number, restart: number): Buffer {
  const bytes: number[] = [];
  let bits = '';
  const flush = () => {
    while (bits.length % 8) bits += '1';
    for (let at = 0; at < bits.length; at += 8) {
      const byte = Number.parseInt(bits.slice(at, at + 8), 2);
      bytes.push(byte, ...(byte === 0xff ? [0] : []));
    }
    bits = '';
  };
  for (let block = 0; block < blocks; block++) {
    const first = restart > 0 ? block % restart === 0 : block === 0;
    if (first && block > 0) {
      flush();
      bytes.push(0xff, 0xd0 + ((block / restart - 1) % 8));
    }
    for (const value of components) {
      const difference = first ? value - 128 : 0;
      const length = difference === 0 ? 0 : Math.floor(Math.log2(Math.abs(difference))) + 1;
      const coded = difference < 0 ? difference + 2 ** length - 1 : difference;
      bits += `${length.toString(2).padStart(4, '0')}${length ? coded.toString(2).padStart(length, '0') : ''}0`;
    }
  }
  flush();
  return Buffer.from(bytes);
}

/** An EXIF segment that says which way up a picture is, and nothing else. */
export function exifOrientation(orientation: number): Buffer {
  const tiff = Buffer.from('49492a00080000000100120103000100000000000000000000000000', 'hex');
  tiff.writeUInt16LE(orientation, 18);
  return segment(0xe1, Buffer.concat([Buffer.from('Exif\0\0'), tiff]));
}
