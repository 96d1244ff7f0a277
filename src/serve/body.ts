import type { IncomingMessage, ServerResponse } from 'node:http';
import { ClientGone, HttpError } from './http-error.ts';

/** What room is made for at first, in bytes. */
const LEAST = 2 ** 16;

/**
 * The body of a request. A client that asks first whether it may send one is told to go on only now.
 *
 * @param most bytes
 * @param signal ends the reading, with its reason
 * @throws HttpError 413 beyond `most`, at once where the request says its length; 415 for a compressed body
 */
export async function readBody(
  request: IncomingMessage,
  response: ServerResponse,
  most: number,
  signal: AbortSignal,
): Promise<Buffer> {
  const { 'content-encoding': encoding, 'content-length': length, expect } = request.headers;
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    throw new HttpError(
      415,
      'CONTENT_ENCODING',
      'expected a body without Content-Encoding: pictures are compressed already',
    );
  }
  if (Number(length ?? 0) > most) throw bodyTooLarge(most);
  if (expect !== undefined) response.writeContinue();
  return new Promise((resolve, reject) => {
    // In one piece: a body of single bytes would be a hundred times as large in a list of them.
    let body = Buffer.alloc(0);
    let bytes = 0;
    const settle = (act: () => void) => {
      request.off('data', take).off('end', complete).off('error', lost).off('close', lost);
      signal.removeEventListener('abort', stop);
      act();
    };
    const take = (part: Buffer) => {
      const end = bytes + part.length;
      if (end > most) return settle(() => reject(bodyTooLarge(most)));
      if (end > body.length) body = enlarged(body, Math.min(most, Math.max(end, 2 * body.length, LEAST)));
      part.copy(body, bytes);
      bytes = end;
    };
    const complete = () => settle(() => resolve(body.subarray(0, bytes)));
    const lost = () => settle(() => reject(new ClientGone()));
    const stop = () => settle(() => reject(signal.reason));
    signal.addEventListener('abort', stop, { once: true });
    request.on('data', take).on('end', complete).on('error', lost).on('close', lost);
    if (signal.aborted) stop();
  });
}

const enlarged = (bytes: Buffer, length: number) => {
  const larger = Buffer.allocUnsafeSlow(length);
  bytes.copy(larger);
  return larger;
};

const bodyTooLarge = (most: number) =>
  new HttpError(413, 'BODY_TOO_LARGE', `expected a body of at most ${most} bytes, received more`);
