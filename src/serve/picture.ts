import sharp from 'sharp';
import {
  centreRegion,
  FORMAT_NAMES,
  formatOf,
  type ImageTransform,
  isRead,
  type Region,
  unreadable,
} from '../data/index.ts';
import { HttpError } from './http-error.ts';

export interface PictureHeader {
  /** Sizes in pixels, as the picture is looked at. */
  readonly width: number;
  readonly height: number;
  /** The part of it that the network sees. */
  readonly seen: Region;
}

/**
 * Reads a picture's header, and refuses what should not be decoded, before any of its pixels are.
 *
 * @param name what errors call it
 * @throws HttpError 413 for too many pixels, 415 for another format; OrtuneError `IMAGE_UNREADABLE`
 */
export async function readHeader(
  bytes: Uint8Array,
  name: string,
  mostPixels: number,
  transform: ImageTransform,
): Promise<PictureHeader> {
  if (bytes.length === 0) throw unreadable(name, new Error('the file is empty'));
  const metadata = await sharp(bytes, { limitInputPixels: false })
    .metadata()
    .catch((error: unknown) => {
      throw unreadable(name, error);
    });
  const { autoOrient } = metadata;
  const format = formatOf(metadata);
  if (!isRead(format)) {
    throw new HttpError(415, 'FORMAT', `${name}: expected ${FORMAT_NAMES}, received ${format}`);
  }
  // Of an animation one frame is decoded; `autoOrient` has its size.
  const { width, height } = autoOrient;
  if (width * height > mostPixels) {
    throw new HttpError(
      413,
      'TOO_MANY_PIXELS',
      `${name}: expected at most ${mostPixels} pixels, received ${width} x ${height}`,
    );
  }
  return { width, height, seen: centreRegion(autoOrient, transform) };
}
