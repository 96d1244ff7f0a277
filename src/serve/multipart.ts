import { setImmediate as nextTurn } from 'node:timers/promises';
import { Busboy, type BusboyInstance } from '@fastify/busboy';
import { HttpError } from './http-error.ts';

export interface UploadedFile {
  /** As the client calls it, without folders. Never a path to anything here. */
  readonly name: string;
  readonly bytes: Buffer;
}

/** Most pictures in one request. */
export const MOST_FILES = 32;

/** Bytes parsed at a time, so that a body of nothing but boundaries holds nobody up. */
const PIECE = 2 ** 14;

/**
 * The files in a multipart/form-data body; other fields are passed over, and so is a file field that was left empty.
 *
 * @param contentType with the boundary
 * @param signal ends the parsing, with its reason
 * @throws HttpError 400 for a body that is none, 413 for too many files
 */
export async function readMultipart(body: Buffer, contentType: string, signal: AbortSignal): Promise<UploadedFile[]> {
  let parser: BusboyInstance;
  try {
    parser = new Busboy({
      headers: { 'content-type': contentType },
      limits: { files: MOST_FILES, parts: 2 * MOST_FILES, fieldSize: 1024, headerPairs: 32, headerSize: 8192 },
    });
  } catch (error) {
    throw broken(error as Error);
  }
  const files: UploadedFile[] = [];
  let failure: unknown;
  const fail = (error: unknown) => {
    failure ??= error;
  };
  parser.on('file', (_field, stream, name) => {
    const parts: Buffer[] = [];
    stream.on('error', (error) => fail(broken(error)));
    stream.on('data', (part: Buffer) => parts.push(part));
    stream.on('end', () => {
      const bytes = Buffer.concat(parts);
      if (bytes.length > 0 || name) files.push({ name: name ?? '', bytes });
    });
  });
  parser.on('filesLimit', () => fail(tooMany())).on('partsLimit', () => fail(tooMany()));
  const finished = new Promise<void>((resolve) => {
    parser.once('finish', resolve).on('error', (error) => {
      fail(broken(error as Error));
      resolve();
    });
  });
  for (let start = 0; start < body.length; start += PIECE) {
    signal.throwIfAborted();
    // An error ends the waiting for a piece, too, whose own end may then not come.
    const written = new Promise((done) => parser.write(body.subarray(start, start + PIECE), done));
    await Promise.race([written, finished]);
    await nextTurn();
    if (failure !== undefined) throw failure;
  }
  parser.end();
  await finished;
  if (failure !== undefined) throw failure;
  return files;
}

const broken = (error: Error) =>
  new HttpError(400, 'MULTIPART', `expected a whole multipart/form-data body: ${error.message}`);

const tooMany = () =>
  new HttpError(413, 'TOO_MANY_PICTURES', `expected at most ${MOST_FILES} pictures in a request, received more`);
