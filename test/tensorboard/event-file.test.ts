import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EventFile, tensorBoardRecorder } from '../../src/tensorboard/index.ts';
import { scalar } from '../../src/tensorboard/summary.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ortune-events-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('an event file', () => {
  it('has a name of its own, which TensorBoard knows', async () => {
    await using one = await EventFile.open(folder);
    await using other = await EventFile.open(folder);
    expect(basename(one.path)).toMatch(/^events\.out\.tfevents\.\d{10}\.ortune\.\d+\.\d+\.v2$/);
    expect(other.path).not.toBe(one.path);
  });

  it('holds what was appended as soon as it is flushed', async () => {
    await using file = await EventFile.open(folder);
    await file.flush();
    const before = (await readFile(file.path)).length;
    for (let step = 0; step < 100; step++) file.append(step, [scalar('loss', step)]);
    await file.flush();
    const whole = await readFile(file.path);
    let [records, place] = [0, 0];
    for (; place < whole.length; records++) place += 16 + Number(whole.readBigUInt64LE(place));
    expect([records, place]).toEqual([101, whole.length]);
    expect(before).toBeLessThan(whole.length);
  });

  it('says where it cannot be', async () => {
    await writeFile(join(folder, 'file'), '');
    await expect(EventFile.open(join(folder, 'file', 'runs'))).rejects.toMatchObject({
      code: 'OUTPUT',
      message: expect.stringContaining(join(folder, 'file', 'runs')),
    });
  });
});

describe('the recorder', () => {
  it('makes nothing before a stage starts', async () => {
    await tensorBoardRecorder(folder).close();
    expect(await readdir(folder)).toEqual([]);
  });

  it('leaves training alone where it cannot write, and says so at the end', async () => {
    await writeFile(join(folder, 'file'), '');
    const recorder = tensorBoardRecorder(join(folder, 'file'));
    recorder.handle({
      type: 'start',
      stage: 'finetune',
      passes: 1,
      trainSize: 2,
      batchSize: 2,
      augment: true,
      seed: 0,
    });
    const step = { step: 0, pass: 0, batch: 0, learningRate: 1, cost: 1, accuracy: 1, waitMs: 0 };
    recorder.handle({ type: 'batch', ...step });
    await expect(recorder.close()).rejects.toMatchObject({ code: 'OUTPUT' });
  });
});
