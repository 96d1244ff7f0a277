import { Busboy, type BusboyInstance } from '@fastify/busboy';
import { HttpError } from './http-error.ts';

export interface UploadedFile {
  /** As the client calls it, without folders. Never a path to anything here. */
  readonly name: string;
  readonly bytes: Buffer;
}

/** Most pictures in one request. */
export const MOST_FILES = 32;

/**
 * The files in a multipart/form-data body; other fields are passed over, and so is a file field that was left empty.
 *
 * @param contentType with the boundary
 * @throws HttpError 400 for a body that is none, 413 for too many files
 */
export function readMultipart(body: Buffer, contentType: string): Promise<UploadedFile[]> {
  return new Promise((resolve, reject) => {
    const broken = (error: Error) => {
      reject(new HttpError(400, 'MULTIPART', `expected a whole multipart/form-data body: ${error.message}`));
    };
    let parser: BusboyInstance;
    try {
      parser = new Busboy({
        headers: { 'content-type': contentType },
        limits: { files: MOST_FILES, parts: 2 * MOST_FILES, fieldSize: 1024, headerPairs: 32, headerSize: 8192 },
      });
    } catch (error) {
      return broken(error as Error);
    }
    const files: UploadedFile[] = [];
    parser.on('file', (_field, stream, name) => {
      const parts: Buffer[] = [];
      stream.on('error', broken);
      stream.on('data', (part: Buffer) => parts.push(part));
      stream.on('end', () => {
        const bytes = Buffer.concat(parts);
        if (bytes.length > 0 || name) files.push({ name: name ?? '', bytes });
      });
    });
    const tooMany = () => {
      reject(
        new HttpError(413, 'TOO_MANY_PICTURES', `expected at most ${MOST_FILES} pictures in a request, received more`),
      );
    };
    parser.on('filesLimit', tooMany).on('partsLimit', tooMany);
    parser.on('error', (error) => broken(error as Error));
    parser.on('finish', () => resolve(files));
    parser.end(body);
  });
}
