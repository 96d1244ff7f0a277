// What a client may do who means no good.
import { EventEmitter } from 'node:events';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readBody } from '../../src/serve/body.ts';
import type { RunningServer } from '../../src/serve/index.ts';
import { readMultipart } from '../../src/serve/multipart.ts';
import { ORTUNE, runProcess } from '../cli/command.ts';
import { LENGTHS, PATHS } from './hostile.ts';
import { RawClient, servedBy, untilMetric, uploadHead } from './raw.ts';
import { drawPicture, form, png, post, Workshop } from './workshop.ts';

let workshop: Workshop;
let server: RunningServer;
beforeAll(async () => {
  workshop = await Workshop.open();
  server = await workshop.serve({ timeout: 1 });
});
afterAll(() => workshop.close());

/** What comes back for a request written by hand. */
async function answerTo(text: string): Promise<string> {
  const client = await RawClient.connect(server);
  client.send(text);
  return client.ended();
}

describe('a slow client', () => {
  it('that says nothing is not waited for', async () => {
    const client = await RawClient.connect(server);
    expect(await client.ended()).toMatch(/^HTTP\/1\.1 408 /);
  });

  it('that does not read its answers loses its connection', async () => {
    const statuses: number[] = [];
    const patient = await workshop.serve({ timeout: 1, onRequest: ({ status }) => statuses.push(status) });
    const page = await (await fetch(`${patient.url}/page.js`)).text();
    const client = await RawClient.connect(patient);
    client.socket.pause();
    // Answers of 10 MB together: more than the system takes for a client that does not read. None is asked for by halves,
    // which would be another offence.
    const line = 'GET /page.js HTTP/1.1\r\nHost: a\r\n\r\n';
    client.send(line.repeat(Math.min(Math.ceil(1e7 / page.length), Math.floor(60_000 / line.length))));
    while (!statuses.includes(499)) await new Promise((resolve) => setTimeout(resolve, 20));
    client.socket.destroy();
    expect((await post(patient, await png())).status).toBe(200);
  });

  it('of many leaves room for the others', async () => {
    const small = await workshop.serve({ timeout: 1, concurrency: 2, queue: 2 });
    const slow = await Promise.all(Array.from({ length: 40 }, () => RawClient.connect(small)));
    for (const [index, client] of slow.entries()) client.send(index % 2 === 0 ? 'POST /predict HT' : uploadHead(1000));
    const statuses = await Promise.all(
      Array.from({ length: 10 }, async () => (await fetch(`${small.url}/healthz`)).status),
    );
    expect(new Set(statuses)).toEqual(new Set([200]));
    const answers = await Promise.all(slow.map((client) => client.ended()));
    for (const text of answers) expect(text).toMatch(/^HTTP\/1\.1 (408|503) /);
    const busy = answers.filter((text) => text.startsWith('HTTP/1.1 503'));
    // Two of the twenty uploads were let in, and two waited.
    expect(busy.length).toBeGreaterThanOrEqual(16);
    for (const text of busy) expect(text).toMatch(/\r\nRetry-After: 1\r\n/);
    await untilMetric(small, 'ortune_requests_active', 0);
    expect((await post(small, await png())).status).toBe(200);
  });
});

describe('a path', () => {
  it.each(PATHS)('%s leads to no file', async (path) => {
    const text = await answerTo(`GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
    expect(text).toMatch(/^HTTP\/1\.1 (404|400) /);
    expect(text).not.toMatch(/root:|"version"/);
  });
});

describe('headers', () => {
  /** Names of the headers of an answer. */
  const namesIn = (text: string) =>
    text
      .split('\r\n\r\n', 1)[0]!
      .split('\r\n')
      .slice(1)
      .map((line) => line.split(':', 1)[0]);

  it('get nothing from a request: no path, query, method or name of a file', async () => {
    const usual = namesIn(await answerTo('GET /nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'));
    for (const line of [
      'GET /nothing%0d%0aX-Evil:%201 HTTP/1.1',
      'GET /nothing?x=%0d%0aX-Evil:%201 HTTP/1.1',
      'GET /nothing\rX-Evil: 1 HTTP/1.1',
    ]) {
      const text = await answerTo(`${line}\r\nHost: a\r\nConnection: close\r\n\r\n`);
      expect(text).not.toMatch(/^X-Evil/im);
      expect(text).toMatch(/^HTTP\/1\.1 40[04] /);
      if (text.startsWith('HTTP/1.1 404')) expect(namesIn(text)).toEqual(usual);
    }
    const bytes = await png();
    const body = Buffer.concat([
      Buffer.from(
        '--x\r\nContent-Disposition: form-data; name="a"; filename="a%0d%0aX-Evil: 1\u2028<script>.png"\r\nContent-Type: a/b\nX-Evil: 1\r\n\r\n',
      ),
      bytes,
      Buffer.from('\r\n--x--\r\n'),
    ]);
    const { status, headers, pictures } = await post(server, body, { type: 'multipart/form-data; boundary=x' });
    expect([status, headers.get('x-evil')]).toEqual([200, null]);
    expect(pictures[0]?.name).toBe('a%0d%0aX-Evil: 1\u2028<script>.png');
    expect(headers.get('content-type')).toBe('application/json; charset=utf-8');
  });

  it('of a request are as many as fit 16 KiB', async () => {
    const flood = Array.from({ length: 3000 }, (_, index) => `X-${index}: ${index}\r\n`).join('');
    expect(await answerTo(`GET / HTTP/1.1\r\nHost: a\r\n${flood}\r\n`)).toMatch(/^HTTP\/1\.1 431 /);
  });

  it('of two kinds smuggle nothing', async () => {
    for (const lines of LENGTHS) {
      const smuggled = 'GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n';
      const head = `POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: image/png\r\n${lines}\r\n`;
      const text = await answerTo(`${head}${smuggled}`);
      expect(text).toMatch(/^HTTP\/1\.1 400 /);
      expect(text.match(/^HTTP\/1\.1 /gm)).toHaveLength(1);
    }
  });
});

describe('a body', () => {
  it('of single bytes takes no more memory than its bytes', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const request = Object.assign(new EventEmitter(), { headers: {} });
    const reading = readBody(
      request as unknown as IncomingMessage,
      {} as ServerResponse,
      1000,
      new AbortController().signal,
    );
    const pieces = Array.from({ length: 500 }, (_, index) => {
      const piece = Buffer.of(index % 256);
      request.emit('data', piece);
      return new WeakRef(piece);
    });
    // What is held weakly may go only once the turn is over.
    await new Promise((resolve) => setTimeout(resolve, 10));
    collect();
    expect(pieces.filter((piece) => piece.deref())).toEqual([]);
    request.emit('end');
    expect([...(await reading)]).toEqual(Array.from({ length: 500 }, (_, index) => index % 256));
  });

  it('of nothing but boundaries or headers lets others have their turn', async () => {
    const { signal } = new AbortController();
    for (const [unit, code] of [
      ['\r\n--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n', 'TOO_MANY_PICTURES'],
      ['a: b\r\n', 'MULTIPART'],
    ] as const) {
      const body = Buffer.concat([Buffer.from('--x\r\n'), Buffer.alloc(2 ** 20, unit)]);
      let turns = 0;
      const count = () => {
        turns++;
        next = setImmediate(count);
      };
      let next = setImmediate(count);
      await expect(readMultipart(body, 'multipart/form-data; boundary=x', signal)).rejects.toMatchObject({ code });
      clearImmediate(next);
      expect(turns).toBeGreaterThan(0);
      // A boundary too many ends it where it is found.
      if (code === 'TOO_MANY_PICTURES') expect(turns).toBeLessThan(5);
    }
    const stopped = AbortSignal.abort(new Error('enough'));
    await expect(
      readMultipart(Buffer.alloc(2 ** 20, '--x\r\n\r\n'), 'multipart/form-data; boundary=x', stopped),
    ).rejects.toThrow('enough');
  });
});

it('no picture is kept, nor anything else, of whatever kind and however its request ends', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ortune-kept-'));
  // All that a program may take for its own files, and its working folder.
  const places = ['tmp', 'home', 'cache', 'work'];
  for (const place of places) await mkdir(join(folder, place));
  const at = (place: string) => join(folder, place);
  const args = ['--model', workshop.path('model.onnx'), '--port', '0', '--threads', '1', '--max-pixels', '60'];
  let sending: Promise<void> | undefined;
  // Large enough for libvips to think of the disk, and turned, which needs all of it at once.
  const huge = await sharp({ create: { width: 7000, height: 7000, channels: 3, background: 'red' } })
    .withMetadata({ orientation: 6 })
    .jpeg()
    .toBuffer();
  const seen = new Set<string>();
  const look = async () => {
    for (const place of places) for (const name of await readdir(at(place), { recursive: true })) seen.add(name);
  };
  await runProcess(at('work'), [process.execPath, ORTUNE, 'serve', ...args], {
    env: { TMPDIR: at('tmp'), HOME: at('home'), XDG_CACHE_HOME: at('cache') },
    watch: (child) => {
      sending = servedBy(child).then(async (running) => {
        const watching = setInterval(() => void look(), 5);
        try {
          expect((await post(running, huge)).status).toBe(200);
          expect((await post(running, await drawPicture(300, 200).tiff().toBuffer())).status).toBe(200);
          const files = form(['../../evil.png', await png()], ['/etc/evil.png', await png()]);
          expect((await post(running, files, { type: null })).status).toBe(200);
          expect((await post(running, Buffer.from('no picture'))).status).toBe(422);
          const client = await RawClient.connect(running);
          client.send(uploadHead(1_000_000));
          client.send(new Uint8Array(500_000));
          client.socket.destroy();
          await untilMetric(running, 'ortune_requests_active', 0);
        } finally {
          clearInterval(watching);
          child.kill('SIGTERM');
        }
      });
    },
  });
  await sending;
  await look();
  // Compiled sources of a checkout are tsx's.
  expect([...seen].filter((name) => !name.startsWith('tsx-'))).toEqual([]);
  await rm(folder, { recursive: true });
});
