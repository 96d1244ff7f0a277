import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ORTUNE, runProcess, untilPrinted } from '../cli/command.ts';
import { sendRanges, serve } from './server.ts';

const body = randomBytes(400_000);
const md5 = createHash('md5').update(body).digest('hex');
const tsx = [process.execPath, '--import', import.meta.resolve('tsx')];
const local = (url: string, ...words: string[]) => [
  ...tsx,
  fileURLToPath(new URL('command.ts', import.meta.url)),
  `${url}/file.bin`,
  md5,
  ...words,
];

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ortune-command-'));
});
afterEach(() => rm(folder, { recursive: true }));

test('npx ortune download fetches, says so, and how to go on', async () => {
  await using server = await serve((request, response) => sendRanges(request, response, { body, etag: '"a"' }));
  expect(await runProcess(folder, local(server.url, 'local'))).toEqual({
    code: 0,
    stdout: 'Fetching: file.bin (0.4 MB)\nFetched: file.bin (0.4 MB), checksum agrees\nTo use it: --data files\n',
    stderr: '',
  });
  expect((await readdir(join(folder, 'files'))).sort()).toEqual(['downloads.json', 'file.bin']);
  const again = await runProcess(folder, local(server.url, 'local', '--to', 'files'));
  expect(again.stdout).toBe('There already: file.bin (0.4 MB), checksum agrees\nTo use it: --data files\n');
  expect(server.requests).toHaveLength(1);
});

test('Ctrl-C leaves what has come, and the next run goes on from there', async () => {
  await using server = await serve((request, response, count) => {
    if (count > 1) return sendRanges(request, response, { body, etag: '"a"' });
    response.writeHead(200, { 'content-length': body.length, etag: '"a"' });
    response.write(body.subarray(0, 100_000));
  });
  const stopped = await runProcess(folder, local(server.url, 'local'), {
    watch: async (child) => {
      await untilPrinted(child, 'Fetching');
      // The first part is on its way.
      setTimeout(() => child.kill('SIGINT'), 300);
    },
  });
  expect(stopped).toMatchObject({
    code: 130,
    stderr: 'Error: stopped by Ctrl-C; the same command goes on from here\n',
  });
  expect((await readdir(join(folder, 'files'))).sort()).toEqual(['file.bin.part', 'file.bin.part.json']);
  const resumed = await runProcess(folder, local(server.url, 'local'));
  expect(resumed).toMatchObject({ code: 0, stdout: expect.stringContaining('going on at 0.1 MB') });
  expect((await readFile(join(folder, 'files', 'file.bin'))).equals(body)).toBe(true);
  expect(server.requests[1]).toMatchObject({ range: 'bytes=100000-', ifRange: '"a"' });
});

test('a process that is killed leaves what a later one goes on with', async () => {
  await using server = await serve((request, response, count) => {
    if (count > 1) return sendRanges(request, response, { body, etag: '"a"' });
    response.writeHead(200, { 'content-length': body.length, etag: '"a"' });
    response.write(body.subarray(0, 100_000));
  });
  await runProcess(folder, local(server.url, 'local'), {
    watch: async (child) => {
      await untilPrinted(child, 'Fetching');
      setTimeout(() => child.kill('SIGKILL'), 300);
    },
  });
  expect(await readdir(join(folder, 'files'))).toContain('file.bin.part.lock');
  expect(await runProcess(folder, local(server.url, 'local'))).toMatchObject({ code: 0 });
  expect((await readdir(join(folder, 'files'))).sort()).toEqual(['downloads.json', 'file.bin']);
  expect((await readFile(join(folder, 'files', 'file.bin'))).equals(body)).toBe(true);
});

describe('the command itself', () => {
  // Whether or not the machine has a network: no name is resolved.
  const offline =
    'import dns from "node:dns"; dns.lookup = (host, options, done) => done(Object.assign(new Error("getaddrinfo ENOTFOUND " + host), { code: "ENOTFOUND" }));';
  const command = (...words: string[]) => [
    process.execPath,
    '--import',
    `data:text/javascript,${encodeURIComponent(offline)}`,
    ORTUNE,
    'download',
    ...words,
  ];

  test('offline it says what to fetch by hand, and exits with 1', async () => {
    const { code, stderr } = await runProcess(folder, command('flowers102', '--to', 'flowers'));
    expect(code).toBe(1);
    expect(stderr).toMatch(/the host's name cannot be resolved \(ENOTFOUND\)/);
    const at = (name: string) => join(folder, 'flowers', name);
    for (const [name, checksum] of [
      ['102flowers.tgz', '52808999861908f626f3c1f4e79d11fa'],
      ['imagelabels.mat', 'e0620be6f572b9609742df49c70aed4d'],
      ['setid.mat', 'a5357ecc9cb78c4bef273ce3793fc85c'],
    ] as const) {
      expect(stderr).toContain(
        `  http://www.robots.ox.ac.uk/~vgg/data/flowers/102/${name}\n    as ${at(name)} (md5 ${checksum})\n`,
      );
    }
  }, 90_000);

  test.each([
    [['flowers'], /expected one of flowers102.*received flowers/],
    [['flowers102', 'timm-resnet50'], /expected one name, received 2/],
    [[], /expected at least one/],
  ])('%j is answered by what was expected', async (words, message) => {
    const { code, stderr } = await runProcess(folder, command(...words));
    expect(code).toBe(1);
    expect(stderr).toMatch(message);
  });
});
