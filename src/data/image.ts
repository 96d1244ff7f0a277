/**
 * From a picture file to pixels: EXIF orientation applied, CMYK, greyscale and 16-bit turned to 8-bit sRGB, transparency
 * laid on white, the first frame of an animation; the short side scaled to a given size, then a square cut out.
 */
import sharp, { type Sharp } from 'sharp';
import { offset } from '../augment/apply.ts';
import type { Size } from '../augment/geometry.ts';
import type { Picture } from '../augment/operations.ts';
import { OrtuneError } from '../errors.ts';
import { isSystemError } from '../output-error.ts';
import { FORMAT_NAMES, formatOf, isRead, lookedLike } from './picture-format.ts';
import { printable } from './picture-name.ts';
import { readSample, type Sample } from './sample.ts';

// Training has the cores to itself: one thread per picture, several pictures at a time. No picture is read twice in a
// row, so libvips's cache would only hold memory.
sharp.concurrency(1);
sharp.cache(false);

/**
 * Pixels that a picture may have; the largest of telephones' have as many. A few bytes can declare any number of them, and
 * where libvips needs all at once (WebP, interlaced PNG, progressive JPEG) each takes up to 8 bytes.
 */
const MOST_PIXELS = 200e6;
/** Times that a side may be as long as the other: a JPEG can. Enlarged to its short side, libvips reads up to 1e8 pixels of length. */
const MOST_RATIO = 65_535;

/** Sizes in pixels. Training and testing use the same, or they would see pictures at different scales. */
export interface ImageTransform {
  /** Side of the square that the network sees. */
  readonly imageSize: number;
  /** Length of the short side before the square is cut out. */
  readonly resizeSize: number;
}

/** The usual ratio of crop to short side, 224 to 256, at any size. */
export function imageTransform(imageSize: number): ImageTransform {
  return { imageSize, resizeSize: Math.round(imageSize / 0.875) };
}

/** Where the square is cut: 0 is the left (top) edge, 1 just beyond the last place; and whether it is then mirrored. */
export interface Crop {
  readonly x: number;
  readonly y: number;
  readonly flip: boolean;
}

/**
 * Decodes a picture to the square that the network is tested on, from the centre.
 *
 * @param source path or bytes of a picture
 * @param options `name`: what errors call it; `seconds`: how long it may take, without end by default
 * @returns RGB, [imageSize, imageSize, 3]
 * @throws OrtuneError `IMAGE_UNREADABLE` naming the file
 */
export function decodeCentre(
  source: string | Uint8Array,
  transform: ImageTransform,
  options: { name?: string; seconds?: number } = {},
): Promise<Uint8Array> {
  return decodeCrop(source, transform, undefined, options.name, options.seconds);
}

/** A rectangle in an upright picture, as shares of its width and height: 0 is the left (top) edge, 1 the right (bottom). */
export interface Region {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** The part that `decodeCentre` keeps of an upright picture of this size. */
export function centreRegion(size: Size, { imageSize, resizeSize }: ImageTransform): Region {
  const { width, height } = scaledSize(size, { shortSide: resizeSize, enlarge: true });
  return {
    x: offset(width - imageSize, undefined) / width,
    y: offset(height - imageSize, undefined) / height,
    width: imageSize / width,
    height: imageSize / height,
  };
}

/** As `decodeCentre`, with the square cut out where `crop` says; `name` is what errors call a picture given by its bytes. */
export function decodeCrop(
  source: string | Uint8Array,
  { imageSize, resizeSize }: ImageTransform,
  crop: Crop | undefined,
  name = nameOf(source),
  seconds = 0,
): Promise<Uint8Array> {
  return naming(name, async () => {
    const { image, size } = await open(source);
    const { width, height } = scaledSize(size, { shortSide: resizeSize, enlarge: true });
    const room = width - imageSize;
    const left = offset(room, crop?.x);
    // With the crop known beforehand libvips scales only what is kept, however long the picture is. sharp mirrors before
    // it cuts, in whatever order they are called, so the place is counted from the other side.
    const square = toRgb(image, width, height).extract({
      left: crop?.flip ? room - left : left,
      top: offset(height - imageSize, crop?.y),
      width: imageSize,
      height: imageSize,
    });
    // 0 is no limit to sharp.
    return pixels((crop?.flip ? square.flop() : square).timeout({ seconds }));
  });
}

/** How large a picture is decoded as a whole. */
export interface PictureScale {
  /** Length of the short side in pixels. */
  readonly shortSide: number;
  /** Whether a smaller picture is enlarged to it; otherwise it keeps its size. */
  readonly enlarge: boolean;
}

/**
 * Decodes a whole picture. With `enlarge`, a square cut out of it is to the byte what `decodeCrop` gives for
 * `resizeSize` = `shortSide`.
 *
 * @param mostPixels a picture that would have more is not decoded: `undefined`
 * @throws OrtuneError `IMAGE_UNREADABLE` naming the file
 */
export function decodePicture(
  source: string | Uint8Array,
  scale: PictureScale,
  { mostPixels = Number.POSITIVE_INFINITY, name = nameOf(source) }: { mostPixels?: number; name?: string } = {},
): Promise<Picture | undefined> {
  return naming(name, async () => {
    const { image, size } = await open(source);
    const { width, height } = scaledSize(size, scale);
    if (width * height > mostPixels) return undefined;
    return { data: await pixels(toRgb(image, width, height)), width, height };
  });
}

function scaledSize({ width, height }: Size, { shortSide, enlarge }: PictureScale): Size {
  const scale = shortSide / Math.min(width, height);
  if (scale > 1 && !enlarge) return { width, height };
  const scaled = (length: number) => Math.max(shortSide, Math.round(length * scale));
  return { width: scaled(width), height: scaled(height) };
}

/** Whatever goes wrong with a picture names it. */
async function naming<T>(name: string, decode: () => Promise<T>): Promise<T> {
  try {
    return await decode();
  } catch (error) {
    throw error instanceof OrtuneError ? error : unreadable(name, error);
  }
}

/**
 * The bytes of a picture of a data set.
 *
 * @throws OrtuneError `IMAGE_UNREADABLE` naming the file; `DATASET_CACHE` as `readSample`
 */
export function readPicture(sample: Pick<Sample, 'file' | 'range'>): Promise<Uint8Array> {
  return naming(sample.file, () => readSample(sample));
}

/** The error that names a picture and says what is wrong with it. */
export function unreadable(name: string, error: unknown): OrtuneError {
  return new OrtuneError('IMAGE_UNREADABLE', `${printable(name)} cannot be decoded: ${reasonOf(error)}.`, {
    cause: error,
  });
}

function nameOf(source: string | Uint8Array): string {
  return typeof source === 'string' ? source : 'The picture';
}

/**
 * Why a picture cannot be decoded, or `undefined` when it can: all of it is read, at a small scale.
 * A changed byte inside a JPEG's data stays unseen, as to every decoder; a file cut short does not.
 */
export async function findDefect(sample: Pick<Sample, 'file' | 'range'>): Promise<string | undefined> {
  try {
    await pixels(toRgb((await open(await readSample(sample))).image, 32, 32));
    return undefined;
  } catch (error) {
    return reasonOf(error);
  }
}

/** A picture of which the header has been read. */
export interface OpenedPicture {
  readonly image: Sharp;
  /** What it is by its content: `jpeg`, `png`, `webp`, `gif`, `tiff` or `avif`. */
  readonly format: string;
  /** In pixels, after EXIF orientation; of an animation one frame's. */
  readonly size: Size;
}

/**
 * Reads a picture's header.
 *
 * @throws Error that says why it is not to be decoded: no picture, of another format, of too many pixels
 */
export async function open(source: string | Uint8Array): Promise<OpenedPicture> {
  const bytes = typeof source === 'string' ? await readSample({ file: source }) : source;
  if (bytes.length === 0) throw new Error('the file is empty');
  const metadata = await sharp(bytes, { failOn: 'error', limitInputPixels: false })
    .metadata()
    .catch((error: unknown) => {
      const kind = lookedLike(bytes);
      throw new Error(reasonOf(error) + (kind === undefined ? '' : `; it looks like ${kind}`));
    });
  const format = formatOf(metadata);
  if (!isRead(format)) throw new Error(`it is ${format.toUpperCase()}, and ${FORMAT_NAMES} are read; convert it`);
  const { width, height } = metadata.autoOrient;
  if (width * height > MOST_PIXELS) {
    throw new Error(
      `it has ${width} x ${height} pixels, and at most ${MOST_PIXELS / 1e6} million are read; scale it down`,
    );
  }
  if (Math.max(width, height) > MOST_RATIO * Math.min(width, height)) {
    throw new Error(`it has ${width} x ${height} pixels, and one side may be at most ${MOST_RATIO} times the other`);
  }
  // "error" stops at files cut short; "warning" would also stop at odd metadata that every other program reads past.
  const image = sharp(bytes, { failOn: 'error', limitInputPixels: MOST_PIXELS });
  return { image, format, size: { width, height } };
}

export function toRgb(image: Sharp, width: number, height: number): Sharp {
  return image
    .autoOrient()
    .resize(width, height, { fit: 'fill' })
    .flatten({ background: 'white' })
    .toColourspace('srgb');
}

export async function pixels(image: Sharp): Promise<Uint8Array> {
  const { data, info } = await image.raw().toBuffer({ resolveWithObject: true });
  if (info.channels !== 3) throw new Error(`it has ${info.channels} channels where RGB has 3`);
  return data;
}

/** The decoder's words without its prefixes and repetitions. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (isSystemError(error)) {
    // Node gives U+FFFD for the bytes of a name that are no UTF-8, and finds no file of that name.
    const garbled = error.path?.includes('\ufffd');
    return `the file cannot be read (${error.code})${garbled ? '; its name is not UTF-8, rename it' : ''}`;
  }
  const header = 'Input buffer has corrupt header';
  const isHeader = error.message.startsWith(header);
  const words = isHeader
    ? error.message.slice(header.length).replace(/^:/, '')
    : error.message.replace(/^Input buffer (?=contains|has)/, 'it ');
  const [first = ''] = words.split('\n').flatMap((line) => {
    const text = line.trim().replace(/\.$/, '');
    // libvips seeks past the end of a file that is cut short; libpng says nothing, or this.
    return text === '' || text === 'Unknown error' || text.startsWith('source: bad seek') ? [] : [text];
  });
  if (isHeader) return `its header is damaged or cut short${first && `: ${first}`}`;
  return first || 'it is damaged or cut short';
}
