import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { DownloadEvent } from '../../src/download/events.ts';
import { type DownloadSource, download, SOURCES } from '../../src/download/index.ts';
import { tgzOf, zipOf } from './archives.ts';
import { sendRanges, serve } from './server.ts';

const labels = Buffer.from('labels');
const pictures = await tgzOf([
  { name: 'jpg/image_00001.jpg', data: Buffer.from('one') },
  { name: 'jpg/image_00002.jpg', data: Buffer.from('two') },
]);
const weights = zipOf([
  { name: 'net/' },
  { name: 'net/conv1_weights', data: Buffer.from('w') },
  { name: 'net/fc_0.b_0', data: Buffer.from('b') },
]);
const BODIES: Record<string, Buffer> = { '/labels.mat': labels, '/pictures.tgz': pictures, '/weights.zip': weights };
const digest = (algorithm: 'md5' | 'sha256', bytes: Buffer) => createHash(algorithm).update(bytes).digest('hex');

const dataset = (url: string): DownloadSource => ({
  name: 'dataset',
  title: 'Pictures',
  to: join(folder, 'default'),
  files: [
    { url: `${url}/labels.mat`, name: 'labels.mat', checksum: { algorithm: 'md5', digest: digest('md5', labels) } },
    {
      url: `${url}/pictures.tgz`,
      name: 'pictures.tgz',
      checksum: { algorithm: 'sha256', digest: digest('sha256', pictures).slice(0, 8) },
      unpack: { as: 'jpg', when: 'on-request' },
    },
  ],
  use: (to) => `--data ${to}`,
});
const pretrained = (url: string): DownloadSource => ({
  name: 'pretrained',
  title: 'Weights',
  to: join(folder, 'default'),
  files: [{ url: `${url}/weights.zip`, name: 'weights.zip', unpack: { as: 'weights', when: 'always' } }],
  use: (to) => `--weights ${to}`,
});
const host = () =>
  serve((request, response) => {
    const body = BODIES[request.url ?? ''];
    if (body) sendRanges(request, response, { body, etag: '"a"' });
    else response.writeHead(404).end();
  });

let folder: string;
let to: string;
let events: DownloadEvent[];
const options = () => ({ to, backoffMs: [1], onEvent: (event: DownloadEvent) => events.push(event) });
const manifest = async () => JSON.parse(await readFile(join(to, 'downloads.json'), 'utf8')).files;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ortune-download-'));
  to = join(folder, 'to');
  events = [];
});
afterEach(() => rm(folder, { recursive: true }));

describe('a data set', () => {
  test('comes with its archive as it is, and a record of what came', async () => {
    await using server = await host();
    expect(await download(dataset(server.url), options())).toBe(to);
    expect((await readdir(to)).sort()).toEqual(['downloads.json', 'labels.mat', 'pictures.tgz']);
    expect((await readFile(join(to, 'pictures.tgz'))).equals(pictures)).toBe(true);
    expect(await manifest()).toMatchObject({
      'labels.mat': { url: `${server.url}/labels.mat`, bytes: 6, md5: digest('md5', labels), verified: true },
      'pictures.tgz': { bytes: pictures.length, sha256: digest('sha256', pictures), verified: true },
    });
  });

  test('goes to its own place by default, and is unpacked on request', async () => {
    await using server = await host();
    const { to: _, ...rest } = options();
    expect(await download(dataset(server.url), { ...rest, unpack: true })).toBe(join(folder, 'default'));
    expect((await readdir(join(folder, 'default'))).sort()).toEqual([
      'downloads.json',
      'jpg',
      'labels.mat',
      'pictures.tgz',
    ]);
    expect(await readdir(join(folder, 'default', 'jpg'))).toEqual(['image_00001.jpg', 'image_00002.jpg']);
  });

  test('that is there already is checked, not fetched', async () => {
    await using server = await host();
    await download(dataset(server.url), options());
    await download(dataset(server.url), options());
    expect(server.requests).toHaveLength(2);
    expect(events.filter((event) => event.type === 'done').map(({ present }) => present)).toEqual([
      false,
      false,
      true,
      true,
    ]);
  });

  test('that was put there by hand is taken, and what is missing fetched', async () => {
    await mkdir(to);
    await writeFile(join(to, 'pictures.tgz'), pictures);
    await using server = await host();
    await download(dataset(server.url), options());
    expect(server.requests.map(({ path }) => path)).toEqual(['/labels.mat']);
    expect(Object.keys(await manifest())).toEqual(['labels.mat', 'pictures.tgz']);
  });

  test('is not fetched over another file of that name', async () => {
    await mkdir(to);
    await writeFile(join(to, 'labels.mat'), 'mine');
    await using server = await host();
    await expect(download(dataset(server.url), options())).rejects.toMatchObject({
      code: 'DOWNLOAD_EXISTS',
      message: expect.stringMatching(/labels\.mat is not the file that is published: expected md5/),
    });
    expect(await readFile(join(to, 'labels.mat'), 'utf8')).toBe('mine');
    expect(server.requests).toHaveLength(0);
  });
});

describe('weights without a published checksum', () => {
  test('are unpacked, their archive recorded and removed', async () => {
    await using server = await host();
    await download(pretrained(server.url), options());
    expect((await readdir(to)).sort()).toEqual(['downloads.json', 'weights']);
    expect((await readdir(join(to, 'weights'))).sort()).toEqual(['conv1_weights', 'fc_0.b_0']);
    expect(await manifest()).toMatchObject({
      'weights.zip': { sha256: digest('sha256', weights), bytes: weights.length, verified: false },
    });
    await download(pretrained(server.url), options());
    expect(server.requests).toHaveLength(1);
    expect(events.at(-1)).toEqual({ type: 'unpacked', folder: join(to, 'weights'), entries: 0, present: true });
  });

  test('are unpacked from an archive that was put there by hand', async () => {
    await mkdir(to);
    await writeFile(join(to, 'weights.zip'), weights);
    await using server = await host();
    await download(pretrained(server.url), options());
    expect(server.requests).toHaveLength(0);
    expect((await readdir(join(to, 'weights'))).sort()).toEqual(['conv1_weights', 'fc_0.b_0']);
  });

  test('are refused once they are not what came before', async () => {
    await using server = await host();
    const { files, ...rest } = pretrained(server.url);
    const plain = { ...rest, files: files.map(({ url, name }) => ({ url, name })) };
    await download(plain, options());
    await writeFile(join(to, 'weights.zip'), 'changed');
    await expect(download(plain, options())).rejects.toMatchObject({
      code: 'DOWNLOAD_EXISTS',
      message: expect.stringContaining(digest('sha256', weights)),
    });
  });

  test('in an archive that cannot be unpacked leave no folder', async () => {
    await using server = await serve((request, response) =>
      sendRanges(request, response, { body: zipOf([{ name: '../evil', data: labels }]) }),
    );
    await expect(download(pretrained(server.url), options())).rejects.toMatchObject({ code: 'ARCHIVE_UNSAFE' });
    expect((await readdir(to)).sort()).toEqual(['downloads.json', 'weights.zip']);
  });
});

describe('where the network gives no file, the error says what to fetch and where to put it', () => {
  /** A port that nothing listens on. */
  const closedPort = () =>
    new Promise<number>((resolve) => {
      const server = createServer().listen(0, '127.0.0.1', () => {
        const { port } = server.address() as { port: number };
        server.close(() => resolve(port));
      });
    });
  afterEach(() => vi.unstubAllEnvs());

  test('no connection', async () => {
    const url = `http://127.0.0.1:${await closedPort()}`;
    const error = await download(dataset(url), options()).catch((error) => error);
    expect(error.code).toBe('DOWNLOAD_UNREACHABLE');
    expect(error.message).toContain('ECONNREFUSED');
    expect(error.message).toContain(
      `  ${url}/labels.mat\n    as ${join(to, 'labels.mat')} (md5 ${digest('md5', labels)})\n` +
        `  ${url}/pictures.tgz\n    as ${join(to, 'pictures.tgz')} (sha256 begins with ${digest('sha256', pictures).slice(0, 8)})\n`,
    );
    expect(await readdir(to)).toEqual([]);
  });

  test('only what is still missing', async () => {
    await mkdir(to);
    await writeFile(join(to, 'labels.mat'), labels);
    const error = await download(dataset(`http://127.0.0.1:${await closedPort()}`), options()).catch((error) => error);
    expect(error.message).toContain('/pictures.tgz');
    expect(error.message).not.toContain('/labels.mat');
  });

  test('an answer 404', async () => {
    await using server = await serve((_, response) => response.writeHead(404).end());
    const error = await download(pretrained(server.url), options()).catch((error) => error);
    expect(error.code).toBe('DOWNLOAD_REFUSED');
    expect(error.message).toContain(`${server.url}/weights.zip answered 404`);
    expect(error.message).toContain(`as ${join(to, 'weights.zip')} (no checksum is published)`);
  });

  test.skipIf(process.allowedNodeEnvironmentFlags.has('--use-env-proxy'))('a proxy that Node passes over', async () => {
    vi.stubEnv('https_proxy', 'http://127.0.0.1:9');
    const error = await download(pretrained(`http://127.0.0.1:${await closedPort()}`), options()).catch(
      (error) => error,
    );
    expect(error.message).toContain(`https_proxy is set, but Node ${process.versions.node} knows no proxies`);
  });
});

describe('the sources', () => {
  test('an unknown name is answered by the known ones', async () => {
    await expect(download('flower102')).rejects.toMatchObject({
      code: 'OPTION',
      message: expect.stringMatching(/flowers102, paddle-resnet50, torchvision-resnet50.*timm-resnet50.*flower102/),
    });
  });

  test.each(SOURCES)('$name has safe names and whole checksums', ({ files, to }) => {
    expect(to).not.toMatch(/^\/|\.\./);
    for (const { url, name, checksum } of files) {
      expect(new URL(url).protocol).toMatch(/^https?:$/);
      expect(name).toMatch(/^[\w.-]+$/);
      if (checksum?.algorithm === 'md5') expect(checksum.digest).toMatch(/^[0-9a-f]{32}$/);
      if (checksum?.algorithm === 'sha256') expect(url).toContain(`-${checksum.digest}.pth`);
    }
  });
});
