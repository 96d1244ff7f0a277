import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { DownloadEvent } from '../../src/download/events.ts';
import { type FetchOptions, fetchFile } from '../../src/download/fetch-file.ts';
import type { Checksum } from '../../src/download/index.ts';
import { cut, sendRanges, serve } from './server.ts';

const body = randomBytes(300_000);
const digest = (algorithm: 'md5' | 'sha256', bytes = body) => createHash(algorithm).update(bytes).digest('hex');
const md5: Checksum = { algorithm: 'md5', digest: digest('md5') };

let folder: string;
let events: DownloadEvent[];
let options: FetchOptions;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ortune-fetch-'));
  events = [];
  options = { emit: (event) => events.push(event), backoffMs: [1, 1, 1], idleMs: 2_000 };
});
afterEach(() => rm(folder, { recursive: true }));

const target = () => join(folder, 'file.bin');
const get = (url: string, checksum?: Checksum, more: Partial<FetchOptions> = {}) =>
  fetchFile({ url: `${url}/file.bin`, name: 'file.bin', ...(checksum && { checksum }) }, target(), {
    ...options,
    ...more,
  });
const seen = (type: DownloadEvent['type']) => events.filter((event) => event.type === type);

describe('a whole file', () => {
  test.each([
    ['md5', md5],
    ['the first digits of sha256', { algorithm: 'sha256', digest: digest('sha256').slice(0, 8) } as const],
    ['no checksum', undefined],
  ])('comes into its place, with %s', async (_, checksum) => {
    await using server = await serve((request, response) => sendRanges(request, response, { body, etag: '"a"' }));
    const digests = await get(server.url, checksum);
    expect(digests).toEqual({ bytes: body.length, md5: digest('md5'), sha256: digest('sha256') });
    expect((await readFile(target())).equals(body)).toBe(true);
    expect(await readdir(folder)).toEqual(['file.bin']);
    expect(events.at(-1)).toEqual({ type: 'progress', file: 'file.bin', received: body.length, total: body.length });
  });

  test('is not unzipped, whatever its label', async () => {
    const headers = { 'content-encoding': 'x-gzip', 'content-type': 'application/x-tar' };
    await using server = await serve((request, response) => sendRanges(request, response, { body, headers }));
    expect((await get(server.url, md5)).bytes).toBe(body.length);
  });

  test('comes without a length too', async () => {
    await using server = await serve((_, response) => {
      response.write(body.subarray(0, 1000));
      response.end(body.subarray(1000));
    });
    expect((await get(server.url, md5)).bytes).toBe(body.length);
  });

  test('is followed through redirects', async () => {
    await using server = await serve((request, response) => {
      if (request.url === '/elsewhere/x') sendRanges(request, response, { body });
      else response.writeHead(request.url === '/file.bin' ? 302 : 307, { location: '/elsewhere/x' }).end();
    });
    expect((await get(server.url, md5)).bytes).toBe(body.length);
    expect(server.requests.map(({ path }) => path)).toEqual(['/file.bin', '/elsewhere/x']);
  });
});

describe('a connection that breaks', () => {
  test('is taken up where it was cut, again and again', async () => {
    await using server = await serve((request, response) =>
      sendRanges(request, response, { body, etag: '"a"', cutAfter: 70_000 }),
    );
    // More cuts than attempts: each brings bytes, so none counts as the last.
    await get(server.url, undefined, { backoffMs: [1] });
    expect((await readFile(target())).equals(body)).toBe(true);
    expect(server.requests.length).toBeGreaterThanOrEqual(5);
    for (const { range, ifRange } of server.requests.slice(1)) {
      expect(range).toMatch(/^bytes=[1-9]\d*-$/);
      expect(ifRange).toBe('"a"');
    }
  });

  test('is taken up by a later call, by the date where there is no ETag', async () => {
    const lastModified = 'Wed, 21 Oct 2015 07:28:00 GMT';
    await using server = await serve((request, response, count) =>
      sendRanges(request, response, { body, lastModified, ...(count === 1 && { cutAfter: 100_000 }) }),
    );
    await expect(get(server.url, md5, { backoffMs: [] })).rejects.toMatchObject({ code: 'DOWNLOAD_UNREACHABLE' });
    expect((await readdir(folder)).sort()).toEqual(['file.bin.part', 'file.bin.part.json']);
    await get(server.url, md5);
    expect((await readFile(target())).equals(body)).toBe(true);
    expect(server.requests[1]).toEqual({ path: '/file.bin', range: 'bytes=100000-', ifRange: lastModified });
    expect(await readdir(folder)).toEqual(['file.bin']);
  });

  test('is not taken up where nothing could tell that it is the same file', async () => {
    await using server = await serve((request, response, count) =>
      sendRanges(request, response, { body, etag: 'W/"weak"', ...(count === 1 && { cutAfter: 100_000 }) }),
    );
    await get(server.url);
    expect((await readFile(target())).equals(body)).toBe(true);
    expect(server.requests[1]?.range).toBeUndefined();
  });

  test('starts over with a server that has no ranges', async () => {
    await using server = await serve((_, response, count) => {
      response.writeHead(200, { 'content-length': body.length, etag: '"a"' });
      if (count === 1) cut(response, body.subarray(0, 50_000));
      else response.end(body);
    });
    await get(server.url, md5);
    expect((await readFile(target())).equals(body)).toBe(true);
    expect(server.requests[1]?.range).toBe('bytes=50000-');
    expect(seen('restart')).toHaveLength(1);
  });

  test('ends with an error when no bytes come any more', async () => {
    await using server = await serve((_, response) => response.destroy());
    await expect(get(server.url, md5)).rejects.toMatchObject({ code: 'DOWNLOAD_UNREACHABLE' });
    expect(server.requests).toHaveLength(4);
    expect(await readdir(folder)).toEqual([]);
  });

  test('counts as broken when it falls silent', async () => {
    await using server = await serve((request, response, count) => {
      if (count > 1) sendRanges(request, response, { body, etag: '"a"' });
      else {
        response.writeHead(200, { 'content-length': body.length, etag: '"a"' });
        response.write(body.subarray(0, 10_000));
      }
    });
    await get(server.url, md5, { idleMs: 100 });
    expect((await readFile(target())).equals(body)).toBe(true);
    expect(seen('retry')).toMatchObject([{ reason: expect.stringContaining('nothing came for 0.1 s') }]);
  });

  test('waits as long as a busy server asks', async () => {
    await using server = await serve((request, response, count) => {
      if (count === 1) response.writeHead(503, { 'retry-after': '1' }).end();
      else sendRanges(request, response, { body });
    });
    await get(server.url, md5);
    expect(seen('retry')).toMatchObject([{ reason: 'the server answered 503', seconds: 1 }]);
  });
});

describe('a file that changes', () => {
  const newer = randomBytes(250_000);

  test('on the server is fetched anew', async () => {
    await using server = await serve((request, response, count) =>
      sendRanges(
        request,
        response,
        count === 1 ? { body, etag: '"a"', cutAfter: 60_000 } : { body: newer, etag: '"b"' },
      ),
    );
    await get(server.url);
    expect((await readFile(target())).equals(newer)).toBe(true);
    expect(server.requests[1]).toMatchObject({ range: 'bytes=60000-', ifRange: '"a"' });
  });

  test('is fetched anew even if the server passes over If-Range', async () => {
    await using server = await serve((request, response, count) => {
      delete request.headers['if-range'];
      sendRanges(
        request,
        response,
        count === 1 ? { body, etag: '"a"', cutAfter: 60_000 } : { body: newer, etag: '"b"' },
      );
    });
    await get(server.url);
    expect((await readFile(target())).equals(newer)).toBe(true);
    expect(seen('restart')).toMatchObject([{ reason: 'the server has another file by now' }]);
  });

  test('to a shorter one than what has come is fetched anew', async () => {
    const short = newer.subarray(0, 1000);
    await using server = await serve((request, response, count) => {
      delete request.headers['if-range'];
      sendRanges(
        request,
        response,
        count === 1 ? { body, etag: '"a"', cutAfter: 60_000 } : { body: short, etag: '"b"' },
      );
    });
    await get(server.url);
    expect((await readFile(target())).equals(short)).toBe(true);
  });

  test('on the disk is fetched anew: the part is not what came', async () => {
    await using server = await serve((request, response, count) =>
      sendRanges(request, response, { body, etag: '"a"', ...(count === 1 && { cutAfter: 60_000 }) }),
    );
    await expect(get(server.url, md5, { backoffMs: [] })).rejects.toThrow();
    const part = `${target()}.part`;
    const damaged = await readFile(part);
    damaged[100]! ^= 1;
    await writeFile(part, damaged);
    await get(server.url, md5);
    expect((await readFile(target())).equals(body)).toBe(true);
    expect(server.requests.map(({ range }) => range)).toEqual([undefined, 'bytes=60000-', undefined]);
  });
});

describe('what is refused', () => {
  test('a wrong checksum: nothing is kept, and both are named', async () => {
    await using server = await serve((request, response) => sendRanges(request, response, { body: body.subarray(1) }));
    await expect(get(server.url, md5)).rejects.toMatchObject({
      code: 'DOWNLOAD_CHECKSUM',
      message: expect.stringMatching(
        new RegExp(`expected md5 ${md5.digest}, received ${digest('md5', body.subarray(1))}`),
      ),
    });
    expect(await readdir(folder)).toEqual([]);
  });

  test.each([404, 403, 500])('an answer %i', async (status) => {
    await using server = await serve((_, response) => response.writeHead(status).end('<html>'));
    await expect(get(server.url, md5)).rejects.toThrow(String(status));
    expect(server.requests).toHaveLength(status === 500 ? 4 : 1);
    expect(await readdir(folder)).toEqual([]);
  });

  test.each([
    ['in a circle', 'http://self/file.bin', 'more than 10'],
    ['to another protocol', 'file:///etc/passwd', 'not as safe'],
    ['to nowhere', undefined, 'without a usable address'],
  ])('a redirect %s', async (_, location, message) => {
    await using server = await serve((request, response) => {
      const to = location?.replace('http://self', `http://${request.headers.host}`);
      response.writeHead(302, to === undefined ? {} : { location: to }).end();
    });
    await expect(get(server.url)).rejects.toMatchObject({
      code: 'DOWNLOAD_REFUSED',
      message: expect.stringContaining(message),
    });
  });

  test('more bytes than any source has, announced or not', async () => {
    await using announced = await serve((request, response) => sendRanges(request, response, { body }));
    await using silent = await serve((_, response) => {
      response.write(body.subarray(0, 200_000));
      response.end(body.subarray(200_000));
    });
    for (const { url, requests } of [announced, silent]) {
      await expect(get(url, undefined, { limit: 250_000 })).rejects.toMatchObject({
        code: 'DOWNLOAD_REFUSED',
        message: expect.stringContaining('250000 bytes'),
      });
      expect(requests).toHaveLength(1);
      expect(await readdir(folder)).toEqual([]);
    }
  });

  test('a disk that takes nothing, named', async () => {
    await using server = await serve((request, response) => sendRanges(request, response, { body, etag: '"a"' }));
    // A device that is always full, in the part's place.
    await symlink('/dev/full', `${target()}.part`);
    await expect(get(server.url, md5)).rejects.toMatchObject({
      code: 'OUTPUT',
      message: expect.stringMatching(/file\.bin cannot be written: ENOSPC/),
    });
    expect(server.requests).toHaveLength(1);
  });

  test('a second process at the same file, while the first lives', async () => {
    await using server = await serve((request, response) => sendRanges(request, response, { body }));
    const lockOf = (pid: number) => JSON.stringify({ pid, since: 'now', id: 'a' });
    await writeFile(`${target()}.part.lock`, lockOf(process.ppid));
    await expect(get(server.url)).rejects.toMatchObject({ code: 'DOWNLOAD_BUSY' });
    expect(server.requests).toHaveLength(0);
    // No process has this number on Linux: the one that wrote it is gone.
    await writeFile(`${target()}.part.lock`, lockOf(2 ** 30));
    await get(server.url, md5);
    expect(await readdir(folder)).toEqual(['file.bin']);
  });
});

test('a slow server is left when the signal says so, and taken up again', async () => {
  await using server = await serve((request, response, count) => {
    if (count > 1) return sendRanges(request, response, { body, etag: '"a"' });
    response.writeHead(200, { 'content-length': body.length, etag: '"a"' });
    let sent = 0;
    const timer = setInterval(() => {
      response.write(body.subarray(sent, sent + 500));
      sent += 500;
    }, 5);
    response.on('close', () => clearInterval(timer));
  });
  const stop = new AbortController();
  const reason = new Error('enough');
  const emit = (event: DownloadEvent) => {
    if (event.type === 'progress' && event.received >= 5_000) stop.abort(reason);
  };
  await expect(get(server.url, md5, { signal: stop.signal, emit })).rejects.toBe(reason);
  expect((await readdir(folder)).sort()).toEqual(['file.bin.part', 'file.bin.part.json']);
  await get(server.url, md5);
  expect((await readFile(target())).equals(body)).toBe(true);
  expect(Number(/^bytes=(\d+)-$/.exec(server.requests[1]?.range ?? '')?.[1])).toBeGreaterThanOrEqual(4_500);
});
