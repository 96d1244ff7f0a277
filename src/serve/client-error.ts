import { type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { errorBody, HttpError } from './http-error.ts';

/**
 * Refuses what is no HTTP, or never became a request, and ends the connection. Written by hand, as there is no response
 * object yet.
 *
 * @param begun responses that the connection waits for
 * @returns the status that was sent, if one could be
 */
export function refuseConnection(
  error: NodeJS.ErrnoException,
  socket: Duplex,
  begun: readonly ServerResponse[],
): number | undefined {
  if (!socket.writable || error.code === 'ECONNRESET' || begun.some(({ headersSent }) => headersSent)) {
    socket.destroy();
    return undefined;
  }
  const refusal = refusalOf(error.code);
  const body = errorBody(refusal);
  const lines = [
    `HTTP/1.1 ${refusal.status} ${STATUS_CODES[refusal.status]}`,
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'X-Content-Type-Options: nosniff',
    'Connection: close',
  ];
  socket.end(`${lines.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
  return refusal.status;
}

function refusalOf(code: string | undefined): HttpError {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return new HttpError(408, 'TOO_SLOW', 'the request did not arrive in time');
  if (code === 'HPE_HEADER_OVERFLOW') return new HttpError(431, 'HEADERS', 'the headers are too large');
  return new HttpError(400, 'HTTP', 'expected an HTTP/1.1 request');
}
