import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { cp, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { download } from '../../src/download/index.ts';
import { unpack } from '../../src/download/unpack.ts';
import { finetune, pretrain } from '../../src/training/index.ts';
import { type CommandName, commandLine, runCommand } from '../cli/command.ts';
import { zipOf } from '../download/archives.ts';
import { sendRanges, serve } from '../download/server.ts';
import { Disk, describeWithDisks } from '../mounts.ts';
import { openWorkshop, snapshot, type Workshop } from '../training/workshop.ts';

const MB = 1_000_000;

let workshop: Workshop;
beforeAll(async () => {
  workshop = await openWorkshop();
  await pretrain({ ...workshop.stageOne(workshop.path('one')), passes: 1 });
  await finetune({ ...workshop.stageTwo(workshop.path('two')), passes: 1 });
});
afterAll(() => workshop.remove());

const run = (command: CommandName, ...args: string[]) => runCommand(workshop.folder, command, args);
const model = () => workshop.path('two');

describeWithDisks('a disk that is full', () => {
  it.each<[string, CommandName, (to: string) => string[]]>([
    [
      'export',
      'export',
      (to) => ['--model', model(), '--precision', 'fp16', '--threads', '1', '--out', `${to}/a.onnx`],
    ],
    ['report', 'report', (to) => ['--model', model(), '--out', `${to}/a.html`]],
    ['evaluate', 'evaluate', (to) => ['--model', model(), '--data', workshop.data, '--out', `${to}/a.json`]],
    ['build-graph', 'build-graph', (to) => ['--width', '0.125', '--image-size', '32', '--out', `${to}/a.onnx`]],
    ['preview', 'preview', (to) => ['--data', workshop.data, '--out', `${to}/a.png`]],
  ])('%s says so, exits with 1 and leaves what was there', async (_, command, args) => {
    using disk = new Disk(8192);
    for (const name of ['a.onnx', 'a.html', 'a.json', 'a.png']) await writeFile(join(disk.path, name), '');
    await writeFile(join(disk.path, 'full'), new Uint8Array(8192));
    const before = await snapshot(disk.path);
    const { code, stderr } = await run(command, ...args(disk.path));
    expect(stderr).toMatch(/^Error: \S+\/a\.\S+ cannot be written: ENOSPC: .*The disk is full: make room on it/m);
    expect(code).toBe(1);
    expect(await snapshot(disk.path)).toEqual(before);
  });
});

describeWithDisks('a result on a read-only disk', () => {
  it('can be used, and what would be written into it is refused with what to do', async () => {
    using disk = new Disk(64 * MB);
    const result = join(disk.path, 'two');
    await cp(model(), result, { recursive: true });
    disk.writable = false;
    const before = await snapshot(disk.path);
    const picture = join(workshop.data, 'red/0.png');
    expect(await run('predict', picture, '--model', result)).toMatchObject({ code: 0 });
    for (const outcome of [
      await run('export', '--model', result, '--precision', 'fp16'),
      await run('report', '--model', result),
      await run('build-graph', '--width', '0.125', '--out', join(result, 'a.onnx')),
    ]) {
      expect(outcome.code).toBe(1);
      expect(outcome.stderr).toMatch(/^Error: .*EROFS.*[Cc]hoose another/m);
    }
    expect(await snapshot(disk.path)).toEqual(before);
    const elsewhere = workshop.path('page.html');
    expect(await run('report', '--model', result, '--out', elsewhere)).toMatchObject({ code: 0 });
    expect(await readFile(elsewhere, 'utf8')).toMatch(/^<!doctype html>/i);
  });
});

it('standard output that cannot be written is told of, without a stack', async () => {
  const words = commandLine('predict', [join(workshop.data, 'red'), '--model', model(), '--threads', '1']);
  const { status, stderr } = spawnSync('sh', ['-c', 'exec "$@" >/dev/full', 'sh', ...words], { encoding: 'utf8' });
  expect(stderr).toMatch(/^Error: standard output cannot be written: ENOSPC: .*The disk is full.*\n$/);
  expect(status).toBe(1);
});

describeWithDisks('a download', () => {
  const body = randomBytes(600_000);
  const sourceAt = (url: string) => ({
    name: 'data',
    title: 'Data',
    to: '.',
    files: [
      {
        url: `${url}/file.bin`,
        name: 'file.bin',
        checksum: { algorithm: 'sha256', digest: createHash('sha256').update(body).digest('hex') } as const,
      },
    ],
    use: () => '',
  });
  const start = () => serve((request, response) => sendRanges(request, response, { body, etag: '"a"' }));

  it('on a full disk keeps what has come under another name, and goes on once there is room', async () => {
    await using server = await start();
    using disk = new Disk(300_000);
    await expect(download(sourceAt(server.url), { to: disk.path })).rejects.toMatchObject({
      code: 'OUTPUT',
      message: expect.stringMatching(/file\.bin cannot be written: ENOSPC.*The disk is full.*What has come is kept\.$/),
    });
    expect((await readdir(disk.path)).sort()).toEqual(['file.bin.part', 'file.bin.part.json']);
    disk.resize(MB);
    await download(sourceAt(server.url), { to: disk.path });
    expect(await readFile(join(disk.path, 'file.bin'))).toEqual(body);
    expect(server.requests[1]?.range).toMatch(/^bytes=[1-9]\d+-$/);
    expect((await readdir(disk.path)).sort()).toEqual(['downloads.json', 'file.bin']);
  });

  it('to a disk without any room, or a read-only one, asks no server', async () => {
    await using server = await start();
    using disk = new Disk(4096);
    await writeFile(join(disk.path, 'full'), new Uint8Array(4096));
    await expect(download(sourceAt(server.url), { to: disk.path })).rejects.toMatchObject({
      code: 'OUTPUT',
      message: expect.stringMatching(/file\.bin cannot be written: ENOSPC/),
    });
    expect(await readdir(disk.path)).toEqual(['full']);
    disk.writable = false;
    for (const to of [disk.path, join(disk.path, 'deep/er')]) {
      await expect(download(sourceAt(server.url), { to })).rejects.toMatchObject({
        code: 'OUTPUT',
        message: expect.stringMatching(/cannot be written: EROFS.*The file system is read-only/),
      });
    }
    expect(server.requests).toEqual([]);
  });

  it('whose archive does not fit unpacked leaves the archive alone', async () => {
    using disk = new Disk(400_000);
    const archive = join(disk.path, 'weights.zip');
    const folder = join(disk.path, 'weights');
    await writeFile(
      archive,
      zipOf([
        { name: 'a', data: randomBytes(150_000) },
        { name: 'b', data: randomBytes(100_000) },
      ]),
    );
    await expect(unpack(archive, folder)).rejects.toMatchObject({
      code: 'OUTPUT',
      message: expect.stringMatching(/weights cannot be written: ENOSPC.*weights\.zip is as it was\.$/),
    });
    expect(await readdir(disk.path)).toEqual(['weights.zip']);
    disk.resize(MB);
    expect(await unpack(archive, folder)).toBe(2);
  });
});
