import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { refuseConnection } from './client-error.ts';
import { ClientGone, HttpError, toHttpError } from './http-error.ts';
import type { RequestRecord, ServeLimits } from './options.ts';
import { errorReply, send } from './reply.ts';
import type { Routes } from './routes.ts';

/** What a request that its client gave up is counted as, as in nginx. */
const CLIENT_GONE = 499;
/** Seconds a client may take for its headers. */
const HEADERS_SECONDS = 10;
/** Connections at a time, for each request that may be under way: idle ones are many with keep-alive. */
const CONNECTIONS_PER_REQUEST = 16;

export interface ServerHooks {
  readonly onRequest: (request: RequestRecord) => void;
  /** Told of what went wrong without a client's fault. */
  readonly onDefect: (error: unknown) => void;
}

/** The HTTP server around the routes: what holds for every request. */
export class HttpServer {
  readonly server: Server;
  readonly #routes: Routes;
  readonly #hooks: ServerHooks;
  /** The answers that each open connection waits for. */
  readonly #connections = new Map<Duplex, Set<ServerResponse>>();
  /** Milliseconds from a request to the end of its answer. Who does not read it would keep the connection for good. */
  readonly #patience: number;
  #closing = false;

  constructor(routes: Routes, limits: ServeLimits, hooks: ServerHooks) {
    this.#routes = routes;
    this.#hooks = hooks;
    this.#patience = 2 * limits.timeout * 1000;
    this.server = createServer({
      headersTimeout: Math.min(HEADERS_SECONDS, limits.timeout) * 1000,
      // Requests have a clock of their own, which answers properly; this one is for what gets past it.
      requestTimeout: (limits.timeout + 5) * 1000,
      connectionsCheckingInterval: 500,
      keepAliveTimeout: 15_000,
    });
    this.server.maxConnections = (limits.concurrency + limits.queue) * CONNECTIONS_PER_REQUEST;
    this.server.on('connection', (socket) => {
      this.#connections.set(socket, new Set());
      socket.once('close', () => this.#connections.delete(socket));
    });
    const handle = (request: IncomingMessage, response: ServerResponse) => void this.#handle(request, response);
    // A client that asks before it sends its body is told to go on when the body is wanted: see `readBody`.
    this.server.on('request', handle).on('checkContinue', handle).on('checkExpectation', handle);
    this.server.on('clientError', (error, socket) => {
      const status = refuseConnection(error, socket, [...(this.#connections.get(socket) ?? [])]);
      if (status !== undefined) this.#record({ method: '-', route: 'other', status, seconds: 0 });
    });
  }

  /** Finishes what runs and refuses what is new; what is not done after `seconds` is cut off. */
  async close(seconds: number): Promise<void> {
    this.#closing = true;
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    this.#endIdle();
    const clock = setTimeout(() => this.server.closeAllConnections(), seconds * 1000);
    await closed;
    clearTimeout(clock);
  }

  /** Ends connections that wait for nothing. `closeIdleConnections` would spare those that never asked for anything. */
  #endIdle(): void {
    for (const [socket, responses] of this.#connections) {
      if (responses.size === 0) socket.end(() => socket.destroy());
    }
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const started = performance.now();
    const [path = '', search = ''] = splitOnce(request.url ?? '', '?');
    this.#connections.get(request.socket)?.add(response);
    response.on('error', () => {});
    const clock = setTimeout(() => request.socket.destroy(), this.#patience);
    response.once('close', () => {
      clearTimeout(clock);
      this.#connections.get(request.socket)?.delete(response);
      if (this.#closing) this.#endIdle();
      const status = response.writableFinished ? response.statusCode : CLIENT_GONE;
      const method = METHODS.has(request.method ?? '') ? (request.method as string) : 'other';
      this.#record({ method, route: this.#routes.label(path), status, seconds: (performance.now() - started) / 1000 });
    });
    try {
      await send(request, response, await this.#answer(request, response, path, search));
    } catch (error) {
      if (error instanceof ClientGone) return;
      const refusal = toHttpError(error);
      if (refusal.status === 500) this.#hooks.onDefect(error);
      if (!response.headersSent) await send(request, response, errorReply(refusal));
      else response.destroy();
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse, path: string, search: string) {
    if (this.#closing) {
      response.shouldKeepAlive = false;
      throw new HttpError(503, 'CLOSING', 'the server is shutting down', { 'Retry-After': '5' });
    }
    const { expect } = request.headers;
    if (expect !== undefined && expect.toLowerCase() !== '100-continue') {
      throw new HttpError(417, 'EXPECTATION', 'expected no Expect header but 100-continue');
    }
    const answer = this.#routes.find(path, request.method);
    const reply = await answer(request, response, new URLSearchParams(search));
    if (this.#closing) response.shouldKeepAlive = false;
    return reply;
  }

  #record(record: RequestRecord): void {
    this.#routes.metrics.request(record);
    this.#hooks.onRequest(record);
  }
}

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'QUERY']);

function splitOnce(text: string, at: string): [string, string?] {
  const place = text.indexOf(at);
  return place < 0 ? [text] : [text.slice(0, place), text.slice(place + 1)];
}
