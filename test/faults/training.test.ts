import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type FinetuneOptions, finetune, pretrain, type TrainingEvent } from '../../src/training/index.ts';
import { runCommand } from '../cli/command.ts';
import { Disk, describeWithDisks } from '../mounts.ts';
import { openWorkshop, snapshot, type Workshop } from '../training/workshop.ts';

/** What a record, and a result, of the workshop's network takes: 4.7 and 6.5 MB. */
const MB = 1_000_000;

let workshop: Workshop;
let whole: Map<string, string>;
const stageTwo = (out: string): FinetuneOptions => ({ ...workshop.stageTwo(out), passes: 2 });
const models = async (folder: string) => {
  const files = [...(await snapshot(folder))].map(([file, digest]) => [file.slice(folder.length), digest] as const);
  return new Map(files.filter(([file]) => ['/model.onnx', '/checkpoint'].includes(file)));
};

beforeAll(async () => {
  workshop = await openWorkshop();
  await pretrain({ ...workshop.stageOne(workshop.path('one')), passes: 1 });
  await finetune(stageTwo(workshop.path('whole')));
  whole = await models(workshop.path('whole'));
});
afterAll(() => workshop.remove());

/** An older result, which is not to be lost. */
async function putOlder(out: string): Promise<void> {
  await mkdir(out, { recursive: true });
  await writeFile(join(out, 'run.json'), '{"older":true}');
}
const older = (out: string) => readFile(join(out, 'run.json'), 'utf8');

/** Runs to its error. @returns it, and what was told */
async function failing(options: FinetuneOptions): Promise<{ error: Error; notes: string[] }> {
  const notes: string[] = [];
  const onEvent = (event: TrainingEvent) => {
    if (event.type === 'note') notes.push(event.text);
  };
  const error = await finetune({ ...options, onEvent }).then(
    () => new Error('it ended well'),
    (error: Error) => error,
  );
  return { error, notes };
}

describeWithDisks('a disk that is full', () => {
  it('at the result: the older one stays, and once there is room the run goes on to the same result', async () => {
    using disk = new Disk(8 * MB);
    const out = join(disk.path, 'model');
    await putOlder(out);
    const { error } = await failing(stageTwo(out));
    expect(error).toMatchObject({
      code: 'OUTPUT',
      message: expect.stringMatching(
        /^--out \S+model cannot be written: ENOSPC: .* The disk is full: .* Older results are as they were\.$/,
      ),
    });
    expect(await older(out)).toBe('{"older":true}');
    expect((await readdir(disk.path)).sort()).toEqual(['model', 'model.progress']);
    expect(await readdir(`${out}.progress`)).toHaveLength(1);
    disk.resize(64 * MB);
    await finetune({ ...stageTwo(out), resume: true });
    expect(await models(out)).toEqual(whole);
    expect(await readdir(disk.path)).toEqual(['model']);
  });

  it('at a record: training goes on, and the record before it is of use', async () => {
    using disk = new Disk(7 * MB);
    const out = join(disk.path, 'model');
    const { error, notes } = await failing({ ...stageTwo(out), recordEvery: 0 });
    expect(notes[0]).toMatch(/^how far the run has come \(\S+model\.progress\) cannot be written: ENOSPC: /);
    expect(error).toMatchObject({ code: 'OUTPUT' });
    expect(await readdir(`${out}.progress`)).toEqual(['000001']);
    disk.resize(64 * MB);
    await finetune({ ...stageTwo(out), resume: true });
    expect(await models(out)).toEqual(whole);
    expect(await readdir(disk.path)).toEqual(['model']);
  });

  it('from the start is told of before any training', async () => {
    using disk = new Disk(4096);
    await writeFile(join(disk.path, 'full'), new Uint8Array(4096));
    const { error } = await failing(stageTwo(join(disk.path, 'model')));
    expect(error).toMatchObject({ code: 'OUTPUT', message: expect.stringContaining('ENOSPC') });
    expect(await readdir(disk.path)).toEqual(['full']);
  });
});

describeWithDisks('a disk that is read-only', () => {
  it('from the start is refused before any training', async () => {
    using disk = new Disk(MB);
    disk.writable = false;
    const { error } = await failing(stageTwo(join(disk.path, 'deep/model')));
    expect(error).toMatchObject({
      code: 'OUTPUT',
      message: expect.stringMatching(/^--out \S+model: expected a place to write to, .* \(EROFS\)\. Choose another/),
    });
  });

  it('from some moment on: the older result and the last record are of use once it is not', async () => {
    using disk = new Disk(64 * MB);
    const out = join(disk.path, 'model');
    await putOlder(out);
    const onEvent = (event: TrainingEvent) => {
      if (event.type === 'kept' && event.pass === 1) disk.writable = false;
    };
    await expect(finetune({ ...stageTwo(out), recordEvery: 0, onEvent })).rejects.toMatchObject({
      code: 'OUTPUT',
      message: expect.stringMatching(/^--out \S+model: expected a place to write to, .* \(EROFS\)\. Choose another/),
    });
    disk.writable = true;
    expect(await older(out)).toBe('{"older":true}');
    await finetune({ ...stageTwo(out), resume: true });
    expect(await models(out)).toEqual(whole);
    expect(await readdir(disk.path)).toEqual(['model']);
  });
});

/** Moved away first: a removal file by file may meet what the run writes meanwhile. */
async function removeAtOnce(folder: string): Promise<void> {
  await rename(folder, `${folder}-away`);
  await rm(`${folder}-away`, { recursive: true });
}

it('a folder that is removed during the run is made again: the result is worth more', async () => {
  const out = workshop.path('gone/deep/model');
  const stage = stageTwo(out);
  await putOlder(out);
  const removal: Promise<void>[] = [];
  const onEvent = (event: TrainingEvent) => {
    if (event.type === 'batch' && event.step === 2) removal.push(removeAtOnce(workshop.path('gone')));
  };
  await finetune({ ...stage, recordEvery: 0, onEvent });
  expect(removal).toHaveLength(1);
  await Promise.all(removal);
  expect(await models(out)).toEqual(whole);
  expect(await readdir(dirname(out))).toEqual(['model']);
});

describeWithDisks('the commands', () => {
  it('pretrain and finetune exit with 1, and say how to go on', async () => {
    using disk = new Disk(8 * MB);
    const out = join(disk.path, 'model');
    const common = ['--data', workshop.data, '--device', 'cpu', '--threads', '1', '--passes', '2'];
    const two = ['--from', workshop.path('one'), '--batch-size', '6', ...common, '--out', out];
    const failed = await runCommand(workshop.folder, 'finetune', two);
    expect(failed.code).toBe(1);
    expect(failed.stderr).toMatch(
      /^Error: --out \S+model cannot be written: ENOSPC.*The disk is full.*the same command with --resume goes on\.\n$/m,
    );
    disk.resize(64 * MB);
    expect(await runCommand(workshop.folder, 'finetune', [...two, '--resume'])).toMatchObject({ code: 0 });
    expect((await models(out)).get('/model.onnx')).toBe(whole.get('/model.onnx'));

    using small = new Disk(MB);
    const one = ['--graph', workshop.graph, '--weights', 'none', ...common, '--out', join(small.path, 'one')];
    const refused = await runCommand(workshop.folder, 'pretrain', one);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/Error: --out \S+one cannot be written: ENOSPC/);
    expect((await readdir(small.path)).filter((name) => name !== 'one.progress')).toEqual([]);
  });
});
