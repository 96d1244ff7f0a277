import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { errorBody, type HttpError } from './http-error.ts';

/** On every answer. The page needs its own files and pictures out of memory, and nothing else may come in. */
const SECURITY: Readonly<Record<string, string>> = {
  'Content-Security-Policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' blob:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
  ].join('; '),
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Permissions-Policy': 'camera=(), geolocation=(), microphone=()',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
};

/** A complete answer. */
export interface Reply {
  readonly status: number;
  readonly type: string;
  readonly body: string | Buffer;
  readonly headers?: Readonly<Record<string, string>>;
}

export const jsonReply = (value: unknown, status = 200): Reply => ({
  status,
  type: 'application/json; charset=utf-8',
  body: `${JSON.stringify(value)}\n`,
});

export const errorReply = (error: HttpError): Reply => ({
  status: error.status,
  type: 'application/json; charset=utf-8',
  body: errorBody(error),
  headers: error.headers,
});

/** How long, and for how many bytes, a client is listened to that still sends after it was refused. */
const LINGER = { milliseconds: 2000, bytes: 2 ** 26 };

/**
 * Sends an answer. One given before the body has arrived ends the connection, but not before the client has had time
 * to read it: a connection closed on data under way is reset, and the answer lost.
 */
export async function send(request: IncomingMessage, response: ServerResponse, reply: Reply): Promise<void> {
  if (response.destroyed) return;
  const body = Buffer.from(reply.body);
  const early = !request.complete;
  response.writeHead(reply.status, {
    ...SECURITY,
    'Cache-Control': reply.status === 200 && !reply.type.startsWith('application/json') ? 'no-cache' : 'no-store',
    'Content-Type': reply.type,
    'Content-Length': body.length,
    ...(early && { Connection: 'close' }),
    ...reply.headers,
  });
  if (request.method !== 'HEAD') response.write(body);
  if (early) await drain(request);
  response.end();
}

async function drain(request: IncomingMessage): Promise<void> {
  let bytes = 0;
  const stop = new AbortController();
  const done = () => stop.abort();
  request.on('data', (part: Buffer) => {
    bytes += part.length;
    if (bytes > LINGER.bytes) done();
  });
  request.on('end', done).on('close', done).on('error', done);
  await delay(LINGER.milliseconds, undefined, { signal: stop.signal }).catch(() => undefined);
}
