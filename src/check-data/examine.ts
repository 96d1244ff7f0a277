/** What one picture is: read and decoded once for all that is asked of it. */
import { webcrypto } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { extname } from 'node:path';
import { open, pixels, reasonOf, toRgb } from '../data/image.ts';
import { readSample, type Sample } from '../data/sample.ts';
import { HASHED_SIDE, type Look, lookOf } from './perceptual-hash.ts';

export type Examined =
  | { readonly defect: string; readonly digest?: undefined }
  | {
      readonly defect?: undefined;
      /** SHA-256 of the file, hexadecimal. */
      readonly digest: string;
      readonly format: string;
      /** In pixels, after EXIF orientation. */
      readonly width: number;
      readonly height: number;
      /** `undefined` when it is of about one colour. */
      readonly look: Look | undefined;
    };

/** Never fails: what cannot be read or decoded has a `defect`, the same as training would name. */
export async function examine(sample: Sample): Promise<Examined> {
  let bytes: Uint8Array;
  try {
    // A pipe or a device would be waited for without end.
    if (!sample.range && !(await stat(sample.file)).isFile()) return { defect: 'it is not a regular file' };
    bytes = await readSample(sample);
  } catch (error) {
    return { defect: reasonOf(error) };
  }
  try {
    const image = await open(bytes);
    const { format, compression, autoOrient } = await image.metadata();
    const look = lookOf(await pixels(toRgb(image, HASHED_SIDE, HASHED_SIDE)));
    // Unlike `createHash` off the main thread.
    const digest = Buffer.from(await webcrypto.subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>));
    return {
      digest: digest.toString('hex'),
      // libvips names the container alone.
      format: format === 'heif' && compression === 'av1' ? 'avif' : format,
      width: autoOrient.width,
      height: autoOrient.height,
      look,
    };
  } catch (error) {
    const kind = kindOf(bytes);
    return {
      defect: reasonOf(error) + (kind && !matchesExtension(sample.file, kind) ? `; it looks like ${kind}` : ''),
    };
  }
}

const EXTENSIONS: Readonly<Record<string, readonly string[]>> = {
  jpeg: ['.jpg', '.jpeg'],
  tiff: ['.tif', '.tiff'],
};

/** Whether a file is called what it is; one without an extension is not called anything. */
export function matchesExtension(file: string, format: string): boolean {
  const extension = extname(file).toLowerCase();
  return extension === '' || (EXTENSIONS[format] ?? [`.${format}`]).includes(extension);
}

/** What is often found under a picture's name, by its first bytes. */
const SIGNATURES: readonly (readonly [kind: string, pattern: RegExp])[] = [
  ['jpeg', /^\xff\xd8\xff/],
  ['png', /^\x89PNG/],
  ['gif', /^GIF8/],
  ['webp', /^RIFF....WEBP/s],
  ['tiff', /^(II\*\0|MM\0\*)/],
  ['avif', /^....ftypavi[fs]/s],
  ['a HEIC photo; convert it to JPEG', /^....ftyp(hei|hev|mif)/s],
  ['a BMP picture; convert it to PNG', /^BM/],
  ['a web page, as servers send in place of a file', /^\s*<(!doctype|html)/i],
  ['a Git LFS pointer; fetch the files by git lfs pull', /^version https:\/\/git-lfs/],
  ['a PDF', /^%PDF/],
  ['a ZIP archive', /^PK/],
];

function kindOf(bytes: Uint8Array): string | undefined {
  const start = Buffer.from(bytes.subarray(0, 64)).toString('latin1');
  return SIGNATURES.find(([, pattern]) => pattern.test(start))?.[0];
}
