import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { OrtuneError } from '../errors.ts';
import { Classifier } from '../inference/index.ts';
import { type RequestRecord, type ServeOptions, serveLimits } from './options.ts';
import { createRoutes } from './routes.ts';
import { HttpServer } from './server.ts';

export { type RequestRecord, SERVE_DEFAULTS, type ServeOptions } from './options.ts';

/** A server that listens. */
export interface RunningServer {
  /** Where it listens, e.g. `http://127.0.0.1:8080`. */
  readonly url: string;
  /** Class names of the model, in its order. */
  readonly classes: readonly string[];
  /** Finishes the requests under way, refuses new ones, and lets go of the model. */
  close(): Promise<void>;
}

/**
 * Serves a model by HTTP: `POST /predict`, a page to try it at `/`, `/healthz`, `/metrics`, `/openapi.json`. No picture is
 * kept, and no path is taken from a request.
 *
 * @throws OrtuneError `OPTION`; `PORT` when the address cannot be listened on; as `Classifier.load`
 */
export async function serve(options: ServeOptions): Promise<RunningServer> {
  const limits = serveLimits(options);
  const classifier = await Classifier.load(options.model, { threads: options.threads });
  try {
    const routes = await createRoutes(classifier, limits);
    const onRequest = (record: RequestRecord) => options.onRequest?.(record);
    const http = new HttpServer(routes, limits, { onRequest, onDefect: console.error });
    await listen(http, limits.host, limits.port);
    let closing: Promise<void> | undefined;
    const close = async () => {
      await http.close(limits.timeout);
      await classifier.dispose();
    };
    return {
      url: urlOf(limits.host, (http.server.address() as AddressInfo).port),
      classes: classifier.classes,
      close: () => (closing ??= close()),
    };
  } catch (error) {
    await classifier.dispose();
    throw error;
  }
}

async function listen({ server }: HttpServer, host: string, port: number): Promise<void> {
  server.listen({ host, port });
  try {
    await once(server, 'listening');
  } catch (error) {
    throw new OrtuneError('PORT', `${host}:${port} cannot be listened on: ${reasonOf(error as NodeJS.ErrnoException)}`);
  }
}

function reasonOf({ code, message }: NodeJS.ErrnoException): string {
  if (code === 'EADDRINUSE') return 'another program does already. Choose another --port; 0 takes any that is free.';
  if (code === 'EACCES') return 'this user may not. Choose a --port from 1024 up.';
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND')
    return 'this machine has no such address. Choose another --host.';
  return message;
}

const urlOf = (host: string, port: number) => `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
