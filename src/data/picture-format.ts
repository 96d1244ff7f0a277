/** Which files are read as pictures, and what others are. */
import type { Metadata } from 'sharp';

/** sharp could draw SVG, too, which is a program rather than a picture. HEIC's compression is patented: no decoder is built in. */
const FORMATS: ReadonlySet<string> = new Set(['jpeg', 'png', 'webp', 'gif', 'tiff', 'avif']);
export const FORMAT_NAMES = 'JPEG, PNG, WebP, GIF, TIFF or AVIF';

/** What a picture is by its content; libvips names the container of AVIF and HEIC alone. */
export function formatOf({ format, compression }: Pick<Metadata, 'format' | 'compression'>): string {
  return format === 'heif' ? (compression === 'av1' ? 'avif' : 'heic') : format;
}

/** Whether pictures of a format are read. */
export const isRead = (format: string): boolean => FORMATS.has(format);

/** What is often found under a picture's name and cannot be opened, by its first bytes. */
const SIGNATURES: readonly (readonly [kind: string, pattern: RegExp])[] = [
  ['a HEIC photo; convert it to JPEG', /^....ftyp(hei|hev|mif)/s],
  ['a BMP picture; convert it to PNG', /^BM/],
  ['a web page, as servers send in place of a file', /^\s*<(!doctype|html)/i],
  ['a Git LFS pointer; fetch the files by git lfs pull', /^version https:\/\/git-lfs/],
  ['a PDF', /^%PDF/],
  ['a TIFF that is cut short or damaged', /^(II\*\0|MM\0\*)/],
  ['a ZIP archive', /^PK/],
];

/** What a file that cannot be opened as a picture looks like, where its first bytes tell. */
export function lookedLike(bytes: Uint8Array): string | undefined {
  const start = Buffer.from(bytes.subarray(0, 64)).toString('latin1');
  return SIGNATURES.find(([, pattern]) => pattern.test(start))?.[0];
}
