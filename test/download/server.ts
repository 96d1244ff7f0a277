import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface LoopbackServer extends AsyncDisposable {
  readonly url: string;
  /** Requests so far, as method-less `path range if-range`. */
  readonly requests: readonly { path: string; range: string | undefined; ifRange: string | undefined }[];
}

/** A server on 127.0.0.1 that counts its requests. */
export async function serve(
  answer: (request: IncomingMessage, response: ServerResponse, count: number) => void,
): Promise<LoopbackServer> {
  const requests: { path: string; range: string | undefined; ifRange: string | undefined }[] = [];
  const server = createServer((request, response) => {
    const { range, 'if-range': ifRange } = request.headers;
    requests.push({ path: request.url ?? '', range, ifRange: ifRange as string | undefined });
    answer(request, response, requests.length);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

export interface Served {
  readonly body: Buffer;
  readonly etag?: string;
  readonly lastModified?: string;
  /** The connection is cut after so many bytes of this answer. */
  readonly cutAfter?: number;
  readonly headers?: Record<string, string>;
}

/** Answers as RFC 9110 asks of a server with ranges: the rest if it is of the same file, else the whole. */
export function sendRanges(request: IncomingMessage, response: ServerResponse, served: Served): void {
  const { body, etag, lastModified, cutAfter, headers = {} } = served;
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  if (etag !== undefined) response.setHeader('etag', etag);
  if (lastModified !== undefined) response.setHeader('last-modified', lastModified);
  const ifRange = request.headers['if-range'];
  const [, start] = /^bytes=(\d+)-$/.exec(request.headers.range ?? '') ?? [];
  const first =
    start !== undefined && (ifRange === undefined || ifRange === etag || ifRange === lastModified) ? Number(start) : 0;
  if (first > 0 && first >= body.length) {
    response.writeHead(416, { 'content-range': `bytes */${body.length}` }).end();
    return;
  }
  const rest = body.subarray(first);
  response.writeHead(first > 0 ? 206 : 200, {
    'content-length': rest.length,
    ...(first > 0 && { 'content-range': `bytes ${first}-${body.length - 1}/${body.length}` }),
  });
  if (cutAfter === undefined) response.end(rest);
  else cut(response, rest.subarray(0, cutAfter));
}

/** Breaks the connection once the client has had the time to read what was sent. */
export function cut(response: ServerResponse, bytes: Buffer): void {
  response.write(bytes, () => setTimeout(() => response.destroy(), 100));
}
