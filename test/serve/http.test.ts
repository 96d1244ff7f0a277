import { once } from 'node:events';
import { createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RequestRecord, type RunningServer, serve } from '../../src/serve/index.ts';
import { RawClient, untilMetric, uploadHead } from './raw.ts';
import { png, post, Workshop } from './workshop.ts';

let workshop: Workshop;
let server: RunningServer;
const records: RequestRecord[] = [];
beforeAll(async () => {
  workshop = await Workshop.open();
  server = await workshop.serve({ timeout: 1, maxBody: 100_000, onRequest: (record) => records.push(record) });
});
afterAll(() => workshop.close());

describe('routes', () => {
  it.each([
    ['/', 'text/html; charset=utf-8'],
    ['/page.css', 'text/css; charset=utf-8'],
    ['/page.js', 'text/javascript; charset=utf-8'],
    ['/icon.svg', 'image/svg+xml; charset=utf-8'],
    ['/healthz', 'application/json; charset=utf-8'],
    ['/openapi.json', 'application/json; charset=utf-8'],
    ['/metrics', 'text/plain; version=0.0.4; charset=utf-8'],
  ])('%s answers, to HEAD without a body, and lets no page do more than it must', async (path, type) => {
    const response = await fetch(server.url + path);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe(type);
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
    expect(response.headers.get('content-security-policy')).toMatch(/^default-src 'none'; script-src 'self';/);
    expect(response.headers.get('access-control-allow-origin')).toBeNull();
    const body = await response.text();
    const head = await fetch(server.url + path, { method: 'HEAD' });
    expect(head.status).toBe(200);
    if (path !== '/metrics') expect(head.headers.get('content-length')).toBe(String(Buffer.byteLength(body)));
    expect(await head.text()).toBe('');
  });

  it.each(['/nothing', '/predict/', '//', '/../package.json', '/page/index.html', '/%2e%2e/etc/passwd', '/__proto__'])(
    '%s is nowhere',
    async (path) => {
      const client = await RawClient.connect(server);
      client.send(`GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
      expect(await client.ended()).toMatch(/^HTTP\/1\.1 404 .*\{"error":\{"code":"NOT_FOUND"/s);
    },
  );

  it.each([
    ['GET', '/predict', 'POST'],
    ['OPTIONS', '/predict', 'POST'],
    ['POST', '/', 'GET, HEAD'],
    ['DELETE', '/healthz', 'GET, HEAD'],
    ['constructor', '/metrics', ''],
  ])('%s %s is refused with what is allowed', async (method, path, allowed) => {
    const client = await RawClient.connect(server);
    client.send(`${method} ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
    const text = await client.ended();
    if (allowed === '') expect(text).toMatch(/^HTTP\/1\.1 400 .*"code":"HTTP"/s);
    else expect(text).toMatch(new RegExp(`^HTTP/1\\.1 405 .*\r\nAllow: ${allowed}\r\n.*"code":"METHOD"`, 's'));
  });

  it('tell of health', async () => {
    const health = await (await fetch(`${server.url}/healthz`)).json();
    expect(health).toEqual({ status: 'ok', classes: 3, imageSize: 32, maps: true });
  });

  it('are described, whole', async () => {
    const api = (await (await fetch(`${server.url}/openapi.json`)).json()) as Record<string, object>;
    expect(Object.keys(api['paths'] as object)).toEqual(['/predict', '/', '/healthz', '/metrics', '/openapi.json']);
    const references = JSON.stringify(api).match(/#\/components\/\w+\/\w+/g) ?? [];
    for (const reference of new Set(references)) {
      const [, , kind, name] = reference.split('/') as [string, string, string, string];
      expect((api['components'] as Record<string, object>)[kind], reference).toHaveProperty(name);
    }
  });
});

describe('a connection', () => {
  it('is kept for further requests, and pipelined ones are answered in their order', async () => {
    const bytes = await png();
    const client = await RawClient.connect(server);
    client.send(uploadHead(bytes.length));
    client.send(bytes);
    client.send('GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n');
    client.send('GET /nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    const order = [...(await client.ended()).matchAll(/"pictures"|"status"|"NOT_FOUND"/g)].map(([word]) => word);
    expect(order).toEqual(['"pictures"', '"status"', '"NOT_FOUND"']);
  });

  it.each([
    ['garbage', '\x00\x01garbage\r\n\r\n', 400, 'HTTP'],
    ['no Host', 'GET / HTTP/1.1\r\n\r\n', 400, undefined],
    ['huge headers', `GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, 431, 'HEADERS'],
    ['an expectation', uploadHead(9, 'Expect: a-miracle\r\n'), 417, 'EXPECTATION'],
    ['a header cut in two', 'GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n', 400, 'HTTP'],
    ['length and pieces', uploadHead(9, 'Transfer-Encoding: chunked\r\n'), 400, 'HTTP'],
  ])('with %s is refused', async (_, text, status, code) => {
    const client = await RawClient.connect(server);
    client.send(text);
    const answer = await client.ended();
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    if (code) expect(answer).toContain(`{"error":{"code":"${code}"`);
  });

  it('with a body in broken pieces is refused', async () => {
    const client = await RawClient.connect(server);
    client.send(
      'POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
    );
    expect(await client.ended()).toMatch(/^HTTP\/1\.1 400 /);
    await untilMetric(server, 'ortune_requests_active', 0);
  });

  it('that asks first is told to go on, or is refused before it has sent anything', async () => {
    const bytes = await png();
    const polite = await RawClient.connect(server);
    polite.send(uploadHead(bytes.length, 'Expect: 100-continue\r\n'));
    await polite.until(/^HTTP\/1\.1 100 Continue\r\n\r\n/);
    polite.send(bytes);
    await polite.until(/HTTP\/1\.1 200 /);
    polite.socket.destroy();
    const large = await RawClient.connect(server);
    large.send(uploadHead(200_000, 'Expect: 100-continue\r\n'));
    expect(await large.until(/BODY_TOO_LARGE/)).toMatch(/^HTTP\/1\.1 413 /);
    large.socket.destroy();
  });

  it('that sends its headers drop by drop is ended in time', async () => {
    const client = await RawClient.connect(server);
    const started = performance.now();
    client.send('GET / HTTP/1.1\r\n');
    const drops = setInterval(() => client.send('X: x\r\n'), 100);
    expect(await client.ended()).toMatch(/^HTTP\/1\.1 408 .*"code":"TOO_SLOW"/s);
    clearInterval(drops);
    expect(performance.now() - started).toBeLessThan(5000);
  });

  it('that sends its picture drop by drop is told so in time', async () => {
    const client = await RawClient.connect(server);
    client.send(uploadHead(1000));
    const drops = setInterval(() => client.send('x'), 100);
    expect(await client.until(/TOO_SLOW/)).toMatch(/^HTTP\/1\.1 408 .*\r\nConnection: close\r\n/s);
    await client.ended();
    clearInterval(drops);
    await untilMetric(server, 'ortune_requests_active', 0);
  });

  it('lost in mid-upload leaves nothing behind', async () => {
    for (let time = 0; time < 40; time++) {
      const client = await RawClient.connect(server);
      client.send(uploadHead(50_000));
      client.send(new Uint8Array(10_000));
      await new Promise((resolve) => setTimeout(resolve, time % 10));
      client.socket.destroy();
    }
    await untilMetric(server, 'ortune_requests_active', 0);
    await untilMetric(server, 'ortune_requests_queued', 0);
    expect((await post(server, await png())).status).toBe(200);
    expect(records.some(({ status }) => status === 499)).toBe(true);
  });
});

describe('records', () => {
  it('tell of each request, in words that no client chose', async () => {
    await post(server, await png(), { query: '?top=2' });
    await fetch(`${server.url}/%0aevil?x=%0a`);
    await untilMetric(server, 'ortune_pictures_queued', 0);
    expect(records).toContainEqual({ method: 'POST', route: '/predict', status: 200, seconds: expect.any(Number) });
    expect(records).toContainEqual({ method: 'GET', route: 'other', status: 404, seconds: expect.any(Number) });
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    expect(metrics).toMatch(/^ortune_http_requests_total\{route="\/predict",status="200"\} \d+$/m);
    expect(metrics).toMatch(/^process_resident_memory_bytes \d{7,}$/m);
    expect(metrics).not.toContain('evil');
  });
});

describe('options', () => {
  it.each([
    [{ port: -1 }, /port: expected a whole number from 0 to 65535, received -1/],
    [{ port: 1.5 }, /port/],
    [{ maxBatch: 0 }, /maxBatch/],
    [{ timeout: Number.NaN }, /timeout/],
    [{ threads: 0 }, /threads/],
  ])('%j are refused', async (options, message) => {
    await expect(serve({ model: workshop.path('model.onnx'), ...options })).rejects.toMatchObject({
      code: 'OPTION',
      message: expect.stringMatching(message),
    });
  });

  it('with a port in use, or an address of elsewhere, say what to do', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as { port: number };
    const failing = (options: object) => serve({ model: workshop.path('model.onnx'), ...options });
    await expect(failing({ port })).rejects.toMatchObject({ code: 'PORT', message: expect.stringContaining('--port') });
    other.close();
    await expect(failing({ port: 0, host: '192.0.2.1' })).rejects.toMatchObject({
      code: 'PORT',
      message: expect.stringContaining('--host'),
    });
  });
});
