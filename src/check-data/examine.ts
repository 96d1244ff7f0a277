/** What one picture is: read and decoded once for all that is asked of it. */
import { webcrypto } from 'node:crypto';
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
  try {
    const bytes = await readSample(sample);
    const { image, format, size } = await open(bytes);
    const look = lookOf(await pixels(toRgb(image, HASHED_SIDE, HASHED_SIDE)));
    // Unlike `createHash` off the main thread.
    const digest = Buffer.from(await webcrypto.subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>));
    return { digest: digest.toString('hex'), format, ...size, look };
  } catch (error) {
    return { defect: reasonOf(error) };
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
