import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { OrtuneError } from '../errors.ts';
import type { TrainingEvent } from '../training/index.ts';
import { RunHistory } from './history.ts';
import { viewOf } from './view.ts';
import { Viewers } from './viewers.ts';

/** Where the page is, and how often it looks. */
export interface DashboardOptions {
  /** On 127.0.0.1; 0 takes any that is free. */
  readonly port: number;
  /** Milliseconds between two looks at the run. Default 1000. */
  readonly interval?: number;
}

/** A page on this machine that shows a run while it trains. */
export interface Dashboard {
  readonly url: string;
  /** What happens in a run. Cheap: nothing is drawn unless somebody looks. */
  handle(event: TrainingEvent): void;
  /** Shows how the run ended, and closes. @param error what ended it early */
  close(error?: unknown): Promise<void>;
}

/** Time that slow viewers have for the last frame. */
const PATIENCE = 1000;

/** Nothing but the page's own files and stream, within nobody else's page. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/**
 * Serves a page with the curves and figures of a run while it trains, to this machine alone.
 *
 * @throws OrtuneError `PORT` when it cannot be listened on
 */
export async function dashboard({ port, interval = 1000 }: DashboardOptions): Promise<Dashboard> {
  const files = await pageFiles();
  const history = new RunHistory();
  const viewers = new Viewers(() => JSON.stringify(viewOf(history)));
  const server = createServer((request, response) => {
    const file = files.get(request.url ?? '');
    if (!isLocal(request)) refuse(response, 403, 'This page is for the machine that trains, by its name localhost.');
    else if (request.method !== 'GET') refuse(response, 405, 'There is nothing but pages to GET.');
    else if (file) response.writeHead(200, { ...HEADERS, 'Content-Type': file.type }).end(file.body);
    else if (request.url !== '/events') refuse(response, 404, 'There is no such page.');
    else if (viewers.full) refuse(response, 503, 'Too many are looking already.');
    else {
      response.writeHead(200, { ...HEADERS, 'Content-Type': 'text/event-stream' });
      response.write('retry: 2000\n\n');
      viewers.add(response, interval);
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(failure(port, error)));
    server.listen(port, '127.0.0.1', resolve);
  });
  // A run that ends for another reason does not wait for the page.
  server.unref();
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    handle: (event) => history.add(event),
    async close(error) {
      history.outcome =
        error === undefined ? 'done' : { error: error instanceof Error ? error.message : String(error) };
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      viewers.end();
      server.closeIdleConnections();
      const rest = setTimeout(() => server.closeAllConnections(), PATIENCE);
      await closed;
      clearTimeout(rest);
    },
  };
}

const HEADERS = {
  'Content-Security-Policy': POLICY,
  'Cache-Control': 'no-store',
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
};

function refuse(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { ...HEADERS, 'Content-Type': 'text/plain; charset=utf-8' }).end(`${text}\n`);
}

/** Another site's name that leads here would let that site's pages read this one. */
const isLocal = ({ headers }: IncomingMessage) => /^(127\.0\.0\.1|localhost|\[::1\])(:\d+)?$/.test(headers.host ?? '');

interface PageFile {
  readonly type: string;
  readonly body: string;
}

/** The page's files by the path that each is served at; what it looks like is the report's, and some of its own. */
async function pageFiles(): Promise<ReadonlyMap<string, PageFile>> {
  const read = (path: string) => readFile(new URL(path, import.meta.url), 'utf8');
  const styles = ['theme', 'base', 'header', 'charts'].map((name) => read(`../report-html/style/${name}.css`));
  const [page, script, own, ...shared] = await Promise.all([
    read('page/index.html'),
    read('page/page.js'),
    read('page/page.css'),
    ...styles,
  ]);
  return new Map([
    ['/', { type: 'text/html; charset=utf-8', body: page }],
    ['/page.js', { type: 'text/javascript; charset=utf-8', body: script }],
    ['/page.css', { type: 'text/css; charset=utf-8', body: [...shared, own].join('\n') }],
  ]);
}

function failure(port: number, error: NodeJS.ErrnoException): OrtuneError {
  const reason =
    error.code === 'EADDRINUSE'
      ? 'another program listens on it'
      : error.code === 'EACCES'
        ? 'this user may not listen on it'
        : error.message;
  const text = `--dashboard ${port}: expected a free port, but ${reason}. Name another one; 0 takes any that is free.`;
  return new OrtuneError('PORT', text, { cause: error });
}
