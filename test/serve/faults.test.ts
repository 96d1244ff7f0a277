import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { OrtuneError } from '../../src/errors.ts';
import type { Classifier } from '../../src/inference/index.ts';
import { SERVE_DEFAULTS } from '../../src/serve/index.ts';
import { createRoutes } from '../../src/serve/routes.ts';
import { HttpServer } from '../../src/serve/server.ts';
import { CLASSES, png, post, TRANSFORM } from './workshop.ts';

let http: HttpServer;
afterEach(() => http.close(0));

/** A server whose model fails. */
async function start(infer: () => Promise<never>, ready = true) {
  const fake = { classes: CLASSES, transform: TRANSFORM, mapSize: undefined, ready, infer } as unknown as Classifier;
  const limits = { ...SERVE_DEFAULTS, timeout: 1 };
  const onDefect = vi.fn();
  http = new HttpServer(await createRoutes(fake, limits), limits, { onRequest: () => {}, onDefect });
  await new Promise<void>((resolve) => http.server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(http.server.address() as AddressInfo).port}`;
  return { server: { url, classes: CLASSES, close: async () => {} }, onDefect };
}

describe('a model', () => {
  it('that takes too long leads to "try again"', async () => {
    const { server, onDefect } = await start(() => new Promise(() => {}));
    const { status, error, headers } = await post(server, await png());
    expect([status, error.code, headers.get('retry-after')]).toEqual([503, 'BUSY', '1']);
    expect(onDefect).not.toHaveBeenCalled();
  });

  it('that fails is told of with its reason, on the side of the server, too', async () => {
    const { server, onDefect } = await start(() => Promise.reject(new OrtuneError('MODEL_RUN', 'no numbers')));
    const { status, error } = await post(server, await png());
    expect([status, error]).toEqual([500, { code: 'MODEL_RUN', message: 'no numbers' }]);
    expect(onDefect).toHaveBeenCalledOnce();
  });

  it('that has ended is unhealthy', async () => {
    const { server } = await start(() => Promise.reject(new OrtuneError('MODEL_CLOSED', 'closed')), false);
    expect(await post(server, await png())).toMatchObject({ status: 503, error: { code: 'MODEL_CLOSED' } });
    const health = await fetch(`${server.url}/healthz`);
    expect([health.status, await health.json()]).toEqual([
      503,
      { error: expect.objectContaining({ code: 'MODEL_CLOSED' }) },
    ]);
  });
});

it('a defect keeps its words to the server', async () => {
  const { server, onDefect } = await start(() => Promise.reject(new TypeError('secret is not a function')));
  const { status, error } = await post(server, await png());
  expect([status, error.code]).toEqual([500, 'INTERNAL']);
  expect(error.message).not.toContain('secret');
  expect(onDefect).toHaveBeenCalledWith(expect.objectContaining({ message: 'secret is not a function' }));
});
