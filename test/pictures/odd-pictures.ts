/** Pictures that are broken, or odd, and what becomes of each: made here, so that what is odd about them can be read. */
import sharp, { type Colour, type Sharp } from 'sharp';
import { exifOrientation, jpegBytes, segment } from './jpeg-bytes.ts';
import { chunk, deflated, header, pngBytes, SIGNATURE, zeros } from './png-bytes.ts';

/** It is read, and has this colour in the middle; or it is refused, for a reason that has these words. */
export type Outcome = { readonly colour: readonly [number, number, number]; readonly within?: number } | string;
type OddPicture = readonly [name: string, outcome: Outcome, bytes: () => Uint8Array | Promise<Uint8Array>];

const ORANGE = { colour: [200, 100, 50], within: 4 } as const;
const WHITE = { colour: [255, 255, 255] } as const;
const BLACK = { colour: [0, 0, 0] } as const;
const HEADER = 'its header is damaged or cut short';
const FOREIGN = 'it contains unsupported image format';

/** JPEG's components of a colour (JFIF: ITU-R BT.601, full range). */
const ycc = (red: number, green: number, blue: number): number[] =>
  [
    0.299 * red + 0.587 * green + 0.114 * blue,
    128 - 0.168736 * red - 0.331264 * green + 0.5 * blue,
    128 + 0.5 * red - 0.418688 * green - 0.081312 * blue,
  ].map(Math.round);
const orange = { components: ycc(200, 100, 50) };
const withSegment = (marker: number, ...content: (string | Uint8Array)[]) =>
  jpegBytes({ ...orange, segments: [segment(marker, joined(...content))] });

const joined = (...parts: (string | Uint8Array)[]) =>
  Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : part)));
const create = (background: Colour | string, width = 48, height = width) =>
  sharp({ create: { width, height, channels: 3, background } });
const flat = (width?: number, height?: number) => create({ r: 200, g: 100, b: 50 }, width, height);
/** Its pixels do not compress, so that a cut is a cut in the pixels. */
const noise = sharp(
  Buffer.from(Array.from({ length: 120 * 90 * 3 }, (_, index) => (index * index * 7 + index * 31) % 256)),
  { raw: { width: 120, height: 90, channels: 3 } },
);
const first = async (share: number, picture: Sharp) => {
  const bytes = await picture.toBuffer();
  return bytes.subarray(0, Math.floor(bytes.length * share));
};
/** Orange, then blue. */
const animation = async () =>
  sharp([await flat().png().toBuffer(), await create('blue').png().toBuffer()], { join: { animated: true } });

/** A copy with one byte changed, at a distance from where some bytes are. */
const spoilt = (bytes: Uint8Array, after: string, distance: number) => {
  const copy = Buffer.from(bytes);
  const at = copy.indexOf(after, 0, 'latin1') + distance;
  copy[at] = copy[at]! ^ 0xff;
  return copy;
};

/** Every occurrence of four letters replaced by four others. */
const renamed = (bytes: Uint8Array, names: Record<string, string>) => {
  let text = Buffer.from(bytes).toString('latin1');
  for (const [from, to] of Object.entries(names)) text = text.replaceAll(from, to);
  return Buffer.from(text, 'latin1');
};

const cutShort: OddPicture[] = [
  ['empty.jpg', 'the file is empty', () => new Uint8Array()],
  ['two-bytes.jpg', HEADER, () => first(0.001, noise.jpeg()).then((bytes) => bytes.subarray(0, 2))],
  ['cut-in-header.jpg', HEADER, () => first(0.01, noise.jpeg())],
  ['cut-half.jpg', 'premature end of JPEG', () => first(0.5, noise.jpeg())],
  ['cut-half-progressive.jpg', 'premature end of JPEG', () => first(0.5, noise.jpeg({ progressive: true }))],
  ['without-its-end-marker.jpg', 'premature end of JPEG', () => jpegBytes(orange).subarray(0, -2)],
  ['cut-in-header.png', HEADER, () => first(0.02, noise.png())],
  ['cut-half.png', 'libpng read error', () => first(0.5, noise.png())],
  // All pixels are there.
  ['without-its-last-chunk.png', ORANGE, async () => (await pngBytes()).subarray(0, -12)],
  ['cut-half.webp', `${HEADER}: webp: unable to parse image`, () => first(0.5, noise.webp())],
  ['cut-half.gif', 'Unexpected end of GIF', () => first(0.5, noise.gif())],
  ['without-a-frame.gif', 'no frames in GIF', async () => joined((await flat().gif().toBuffer()).subarray(0, 13), ';')],
  ['cut-half.avif', 'Unexpected end of file', () => first(0.5, noise.avif())],
  ['cut-half.tif', 'it looks like a TIFF that is cut short', () => first(0.5, noise.tiff())],
  ['cut-late.tif', 'tiff2vips', () => first(0.99, noise.tiff())],
];

const damaged: OddPicture[] = [
  ['zeros.jpg', FOREIGN, () => Buffer.alloc(2000)],
  // As to every decoder, zeros within the pixels are pixels.
  [
    'zeros-for-its-end.jpg',
    { colour: [128, 128, 128], within: 2 },
    () => jpegBytes({ ...orange, width: 800, blocks: 9 }),
  ],
  ['junk-before.jpg', FOREIGN, () => joined('junk', jpegBytes(orange))],
  ['junk-after.jpg', ORANGE, () => joined(jpegBytes(orange), Buffer.alloc(5000, 7))],
  ['another-after.jpg', ORANGE, () => joined(jpegBytes(orange), jpegBytes({ components: [0] }))],
  ['wrong-restart-marker.jpg', ORANGE, () => spoilt(jpegBytes({ ...orange, restart: 3 }), '\xff\xd1', 1)],
  ['without-size.jpg', HEADER, () => jpegBytes({ ...orange, width: 0, height: 0, blocks: 1 })],
  ['12-bit.jpg', 'Unsupported JPEG data precision 12', () => jpegBytes({ ...orange, precision: 12 })],
  ['checksum-of-header.png', 'it is damaged', async () => spoilt(await pngBytes(), 'IHDR', 17)],
  ['checksum-of-pixels.png', 'libpng read error', async () => spoilt(await pngBytes(), 'IEND', -5)],
  ['changed-pixels.png', 'libpng read error', async () => spoilt(await noise.png().toBuffer(), 'IDAT', 400)],
  ['checksum-of-a-text.png', ORANGE, () => pngBytes({ chunks: [chunk('tEXt', Buffer.from('a\0b'), 1)] })],
  ['without-palette.png', HEADER, () => pngBytes({ colour: 3 })],
  [
    'beyond-its-palette.png',
    BLACK,
    () => pngBytes({ colour: 3, row: [7], chunks: [chunk('PLTE', Buffer.alloc(3, 90))] }),
  ],
  ['without-size.png', HEADER, () => pngBytes({ width: 0, height: 0 })],
  ['unknown-critical-chunk.png', HEADER, () => pngBytes({ chunks: [chunk('ABCD', Buffer.alloc(4))] })],
  ['exif-of-junk.jpg', ORANGE, () => withSegment(0xe1, 'Exif\0\0', Buffer.alloc(50, 0xab))],
  ['exif-cut-short.jpg', ORANGE, () => withSegment(0xe1, 'Exif\0\0II*')],
  ['exif-orientation-0.jpg', ORANGE, () => jpegBytes({ ...orange, segments: [exifOrientation(0)] })],
  ['exif-orientation-9.jpg', ORANGE, () => jpegBytes({ ...orange, segments: [exifOrientation(9)] })],
  ['icc-of-junk.jpg', ORANGE, () => withSegment(0xe2, 'ICC_PROFILE\0\x01\x01', Buffer.alloc(200, 0xab))],
  ['icc-in-part.jpg', ORANGE, () => withSegment(0xe2, 'ICC_PROFILE\0\x02\x03', Buffer.alloc(200, 0xab))],
  ['icc-of-cmyk.png', ORANGE, async () => pngBytes({ chunks: [await cmykProfile()] })],
];

async function cmykProfile(): Promise<Buffer> {
  const cmyk = await flat().toColourspace('cmyk').withIccProfile('cmyk').jpeg().toBuffer();
  return chunk('iCCP', joined('c\0\0', await deflated([(await sharp(cmyk).metadata()).icc!])));
}

const otherwiseNamed: OddPicture[] = [
  ['a-png.jpg', ORANGE, () => pngBytes()],
  ['a-gif.jpg', ORANGE, () => flat().gif().toBuffer()],
  ['a-webp.jpg', ORANGE, () => flat().webp({ lossless: true }).toBuffer()],
  ['a-tiff.jpg', ORANGE, () => flat().tiff().toBuffer()],
  ['an-avif.jpg', ORANGE, () => flat().avif({ quality: 95 }).toBuffer()],
  ['a-jpeg.png', ORANGE, () => jpegBytes(orange)],
  ['text.jpg', FOREIGN, () => Buffer.from('hello there')],
  ['page.jpg', 'looks like a web page', () => Buffer.from('<!doctype html><p>404')],
  ['paper.jpg', 'looks like a PDF', () => Buffer.from('%PDF-1.7\n')],
  ['archive.jpg', 'looks like a ZIP archive', () => Buffer.from('PK\x03\x04 and so on')],
  ['bitmap.jpg', 'looks like a BMP picture; convert it to PNG', () => joined('BM', Buffer.alloc(100))],
  ['pointer.jpg', 'git lfs pull', () => Buffer.from('version https://git-lfs.github.com/spec/v1\noid sha256:0\n')],
  ['film.jpg', FOREIGN, () => Buffer.from('\0\0\0\x18ftypmp42\0\0\0\0')],
  ['jpeg-2000.jpg', FOREIGN, () => Buffer.from('0000000c6a5020200d0a870a00000014667479706a703220', 'hex')],
  ['drawing.jpg', 'it is SVG', () => Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="90" height="90"/>')],
  [
    'phone.jpg',
    'it looks like a HEIC photo; convert it to JPEG',
    async () => renamed(await flat().avif().toBuffer(), { avif: 'heic', av01: 'hvc1', av1C: 'hvcC' }),
  ],
];

/** 1 - k times 1 - c, m and y: of print's colours, without a profile, no more is known. */
const CMYK = { colour: [215, 107, 46], within: 15 } as const;

const colours: OddPicture[] = [
  ['grey.jpg', { colour: [90, 90, 90] }, () => jpegBytes({ components: [90] })],
  ['rgb.jpg', ORANGE, () => jpegBytes({ components: [200, 100, 50], adobe: 0 })],
  // Adobe stores CMYK inverted, and YCCK as YCbCr of what CMY leaves of white.
  ['cmyk.jpg', CMYK, () => jpegBytes({ components: [255, 127, 55, 215], adobe: 0 })],
  ['ycck.jpg', CMYK, () => jpegBytes({ components: [...ycc(0, 128, 200), 215], adobe: 2 })],
  ['cmyk.tif', { colour: [200, 100, 50], within: 30 }, () => flat().toColourspace('cmyk').tiff().toBuffer()],
  ['lab.tif', ORANGE, () => flat().toColourspace('lab').tiff().toBuffer()],
  ['1-bit.tif', WHITE, () => create('white').toColourspace('b-w').tiff({ bitdepth: 1 }).toBuffer()],
  ['16-bit.tif', ORANGE, () => flat().toColourspace('rgb16').tiff().toBuffer()],
  ['16-bit.png', ORANGE, () => pngBytes({ depth: 16, row: [200, 200, 100, 100, 50, 50] })],
  [
    '16-bit-see-through.png',
    { ...WHITE, within: 1 },
    () => pngBytes({ depth: 16, colour: 6, row: [9, 9, 9, 9, 9, 9, 0, 0] }),
  ],
  ['1-bit.png', WHITE, () => pngBytes({ depth: 1, colour: 0, row: [0xff] })],
  ['2-bit.png', { colour: [170, 170, 170] }, () => pngBytes({ depth: 2, colour: 0, row: [0xaa] })],
  ['grey-half-see-through.png', { colour: [172, 172, 172] }, () => pngBytes({ colour: 4, row: [90, 128] })],
  [
    'palette-see-through.png',
    WHITE,
    () =>
      pngBytes({
        colour: 3,
        row: [0],
        chunks: [chunk('PLTE', Buffer.from([9, 9, 9])), chunk('tRNS', Buffer.alloc(1))],
      }),
  ],
  ['see-through.webp', WHITE, () => flat().ensureAlpha(0).webp({ lossless: true }).toBuffer()],
  ['animated.gif', ORANGE, async () => (await animation()).gif().toBuffer()],
  ['animated.webp', ORANGE, async () => (await animation()).webp({ lossless: true }).toBuffer()],
  ['pages.tif', ORANGE, async () => (await animation()).tiff().toBuffer()],
  ['progressive.jpg', ORANGE, () => flat().jpeg({ progressive: true }).toBuffer()],
  ['restart-markers.jpg', ORANGE, () => jpegBytes({ ...orange, restart: 3 })],
  ['interlaced.png', ORANGE, () => pngBytes({ interlaced: true, width: 49 })],
];

const SIZE = 'at most 200 million are read; scale it down';

const sizes: OddPicture[] = [
  ['1x1.png', ORANGE, () => pngBytes({ width: 1, height: 1 })],
  ['1x10000.png', ORANGE, () => pngBytes({ width: 1, height: 10_000 })],
  ['10000x1.png', ORANGE, () => pngBytes({ width: 10_000, height: 1 })],
  ['1x65500.jpg', ORANGE, () => flat(1, 65_500).jpeg().toBuffer()],
  ['1x65536.png', 'at most 65535 times the other', () => pngBytes({ width: 1, height: 65_536 })],
  [
    'huge-header.jpg',
    `60000 x 60000 pixels, and ${SIZE}`,
    () => jpegBytes({ ...orange, width: 6e4, height: 6e4, blocks: 9 }),
  ],
  [
    'huge-header.png',
    HEADER,
    () =>
      joined(SIGNATURE, header({ width: 2 ** 31 - 1, height: 2 ** 31 - 1 }), chunk('IDAT', Buffer.from('78da', 'hex'))),
  ],
  // Its reader takes a screen of more than 1024 pixels for a mistake, and the first frame's size.
  ['huge-screen.gif', ORANGE, async () => withScreen(await flat().gif().toBuffer(), 65_535)],
  [
    'bomb.png',
    `30000 x 30000 pixels, and ${SIZE}`,
    () => pngBytes({ width: 3e4, height: 3e4, depth: 1, colour: 0, row: [0] }),
  ],
  ['bomb-of-rows.png', BLACK, async () => joined(SIGNATURE, header({}), chunk('IDAT', await deflated(zeros(1e8))))],
  ['bomb-of-text.png', ORANGE, async () => pngBytes({ chunks: [await bombIn('zTXt')] })],
  ['bomb-of-profile.png', ORANGE, async () => pngBytes({ chunks: [await bombIn('iCCP')] })],
];

const bombIn = async (type: string) => chunk(type, joined('c\0\0', await deflated(zeros(3e8))));

function withScreen(gif: Uint8Array, side: number): Buffer {
  const bytes = Buffer.from(gif);
  bytes.writeUInt16LE(side, 6);
  bytes.writeUInt16LE(side, 8);
  return bytes;
}

export const ODD_PICTURES: readonly OddPicture[] = [...cutShort, ...damaged, ...otherwiseNamed, ...colours, ...sizes];
