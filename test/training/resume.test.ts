import { appendFile, mkdir, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { digestFile } from '../../src/digest-file.ts';
import {
  type FinetuneOptions,
  finetune,
  type PretrainOptions,
  pretrain,
  type TrainingEvent,
} from '../../src/training/index.ts';
import { openWorkshop, type Workshop } from './workshop.ts';

let workshop: Workshop;
const stageOne = (out: string) => workshop.stageOne(out);
const stageTwo = (out: string) => workshop.stageTwo(out);

beforeAll(async () => {
  workshop = await openWorkshop();
  await pretrain({ ...stageOne(workshop.path('one')), passes: 1 });
});
afterAll(() => workshop.remove());

/** All that a result is, but for the time it took. */
async function resultOf(folder: string): Promise<Record<string, unknown>> {
  const found: Record<string, unknown> = {};
  for (const name of (await readdir(folder)).sort()) {
    const bytes = await readFile(join(folder, name));
    // Its times are the run's, and all else of it is in the other files.
    if (name === 'report.html' || name === 'history.csv') continue;
    if (name === 'run.json') {
      const { started: _, seconds: __, options, history, ...rest } = JSON.parse(bytes.toString());
      for (const pass of history) for (const time of ['seconds', 'dataWait']) delete pass[time];
      found[name] = { ...rest, history, options: { ...options, out: '' } };
    } else {
      found[name] = bytes.toString('base64');
    }
  }
  return found;
}

type Moment = (event: TrainingEvent) => boolean;
const atStep =
  (step: number): Moment =>
  (event) =>
    event.type === 'batch' && event.step === step;
const testing =
  (pass: number): Moment =>
  (event) =>
    event.type === 'progress' && event.task === 'test' && event.pass === pass;

/** Runs, is stopped at some moments, each in a run of its own, and goes on each time. */
async function interrupted<Options extends { onEvent?: unknown }>(
  run: (options: Options) => Promise<unknown>,
  options: Options,
  moments: readonly Moment[],
): Promise<void> {
  for (const [index, moment] of [...moments, () => false].entries()) {
    const interrupt = new AbortController();
    const onEvent = (event: TrainingEvent) => {
      if (moment(event)) interrupt.abort(new Error('stopped'));
    };
    const going = run({ ...options, resume: index > 0, onEvent, signal: interrupt.signal });
    if (index < moments.length) await expect(going).rejects.toThrow('stopped');
    else await going;
  }
}

describe('a run that is stopped and goes on ends as if it had not been', () => {
  it.each<[string, Partial<FinetuneOptions>, Moment[]]>([
    ['between steps, in tests, at the start of a pass', {}, [atStep(1), testing(0), atStep(4), testing(1), testing(2)]],
    [
      'with momentum, decay and running averages',
      { optimizer: 'sgd', weightDecay: 0.01, ema: { decay: 0.9 } },
      [atStep(5)],
    ],
    ['in an update of several batches', { optimizer: 'adamw', accumulate: 3, recordEvery: 0 }, [atStep(4), atStep(8)]],
    [
      'with the best pass kept, a schedule and everything random',
      {
        keep: 'best',
        learningRate: 3e-3,
        schedule: { kind: 'one-cycle' },
        augment: { policy: 'trivial', mixup: 0.2 },
        earlyStopping: { patience: 1 },
        passes: 5,
      },
      [atStep(6), testing(1)],
    ],
    ['without tests', { test: 'end', batchSize: 4 }, [atStep(3), testing(2)]],
    ['with frozen BatchNorm and the stock kernels', { batchNorm: 'frozen', kernels: 'stock' }, [atStep(2)]],
  ])('stage two, %s', async (_, changes, moments) => {
    const [whole, parts] = [workshop.path('whole'), workshop.path('parts')];
    await finetune({ ...stageTwo(whole), ...changes });
    await interrupted(finetune, { ...stageTwo(parts), ...changes }, moments);
    expect(await resultOf(parts)).toEqual(await resultOf(whole));
    expect(await readdir(workshop.folder)).not.toContain('parts.progress');
  });

  it.each<[string, Partial<PretrainOptions>]>([
    ['on features', {}],
    ['on pictures', { batchNorm: 'live' }],
  ])('stage one, %s', async (_, changes) => {
    const [whole, parts] = [workshop.path('whole'), workshop.path('parts')];
    await pretrain({ ...stageOne(whole), ...changes });
    await interrupted(pretrain, { ...stageOne(parts), ...changes }, [atStep(2), testing(1)]);
    expect(await resultOf(parts)).toEqual(await resultOf(whole));
  });
});

describe('what was kept of a run', () => {
  const out = () => workshop.path('kept');
  const folder = () => `${out()}.progress`;
  const stop = (step: number, options: Partial<FinetuneOptions> = {}) => {
    const interrupt = new AbortController();
    const onEvent = (event: TrainingEvent) => {
      if (atStep(step)(event)) interrupt.abort(new Error('stopped'));
    };
    return finetune({ ...stageTwo(out()), ...options, onEvent, signal: interrupt.signal }).catch(() => {});
  };
  const notesOf = async (options: Partial<FinetuneOptions>) => {
    const notes: string[] = [];
    await finetune({
      ...stageTwo(out()),
      ...options,
      onEvent: (event) => {
        if (event.type === 'note') notes.push(event.text);
      },
    });
    return notes;
  };

  it('is refused where options, data or stage one have changed since', async () => {
    await stop(5);
    const resume = { ...stageTwo(out()), resume: true };
    await expect(finetune({ ...resume, passes: 9, learningRate: 1 })).rejects.toMatchObject({
      code: 'RESUME_CHANGED',
      message: expect.stringMatching(
        /options\.passes: 3 before, 9 now\n {2}options\.learningRate: 0\.0001 before, 1 now/,
      ),
    });
    const picture = join(workshop.data, 'red/0.png');
    await utimes(picture, 1, 1);
    await expect(finetune(resume)).rejects.toMatchObject({
      code: 'RESUME_CHANGED',
      message: expect.stringContaining('data.pictures: '),
    });
    expect(await readdir(folder())).toHaveLength(1);
    await rm(folder(), { recursive: true });
  });

  it('is refused where another version wrote it', async () => {
    await stop(5);
    const [record = ''] = await readdir(folder());
    const [state, manifest] = [join(folder(), record, 'state.json'), join(folder(), record, 'manifest.json')];
    const written = JSON.parse(await readFile(state, 'utf8'));
    const { records: _, ...versions } = written.fingerprint.versions;
    written.fingerprint.versions = { ...versions, onnxruntime: '1.0.0' };
    await writeFile(state, JSON.stringify(written));
    const files = JSON.parse(await readFile(manifest, 'utf8'));
    files['state.json'] = await digestFile(state, ['sha256']);
    await writeFile(manifest, JSON.stringify(files));
    await expect(finetune({ ...stageTwo(out()), resume: true })).rejects.toMatchObject({
      code: 'RESUME_CHANGED',
      message: expect.stringMatching(
        /versions\.onnxruntime: "1\.0\.0" before, "[\d.]+" now\n.*records: nothing before, 2 now/,
      ),
    });
    await rm(folder(), { recursive: true });
  });

  it('is used from the record before, where the newest is damaged', async () => {
    await stop(5, { recordEvery: 0 });
    const records = (await readdir(folder())).sort();
    expect(records).toHaveLength(2);
    await appendFile(join(folder(), records[1] as string, 'checkpoint'), 'x');
    const notes = await notesOf({ resume: true });
    expect(notes[0]).toMatch(
      /is damaged \(checkpoint has \d+ bytes, expected \d+ bytes\); the record before it is used$/,
    );
    await finetune(stageTwo(workshop.path('whole')));
    expect(await resultOf(out())).toEqual(await resultOf(workshop.path('whole')));
  });

  it('is told of by a run that begins anew, and goes with it', async () => {
    await stop(3);
    expect((await notesOf({}))[0]).toMatch(
      /^an unfinished run lies in .*kept\.progress \(pass 0, 4 batches\); --resume/,
    );
    expect(await readdir(workshop.folder)).not.toContain('kept.progress');
  });

  it('is missed by whoever wants to go on without it', async () => {
    await expect(finetune({ ...stageTwo(out()), resume: true })).rejects.toMatchObject({ code: 'RESUME_NOTHING' });
    expect(await readdir(workshop.folder)).not.toContain('kept.progress');
  });

  it('belongs to one run at a time', async () => {
    const run = finetune({ ...stageTwo(out()), passes: 1 });
    let second: unknown;
    for await (const event of run) {
      if (event.type !== 'batch') continue;
      second ??= await finetune(stageTwo(out())).catch((error: unknown) => error);
    }
    expect(second).toMatchObject({
      code: 'RUN_BUSY',
      message: expect.stringContaining(`process ${process.pid}, since`),
    });
    // A lock of a process that is gone is none.
    await mkdir(folder());
    await writeFile(join(folder(), 'lock'), JSON.stringify({ pid: 2 ** 22 + 1, since: 'long ago', id: 'a' }));
    await finetune({ ...stageTwo(out()), passes: 1 });
  });
});
