import { cp, mkdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { exportModel } from '../../src/export/index.ts';
import { evaluate, loadModel, predict } from '../../src/inference/index.ts';
import { writeReport } from '../../src/report-html/index.ts';
import { serve } from '../../src/serve/index.ts';
import { finetune, pretrain } from '../../src/training/index.ts';
import { runCommand } from '../cli/command.ts';
import { openWorkshop, type Workshop } from '../training/workshop.ts';

let workshop: Workshop;
beforeAll(async () => {
  workshop = await openWorkshop();
  await pretrain({ ...workshop.stageOne(workshop.path('one')), passes: 1 });
  await finetune({ ...workshop.stageTwo(workshop.path('two')), passes: 1 });
  await exportModel({ model: workshop.path('two'), precision: 'fp16', threads: 1 });
});
afterAll(() => workshop.remove());

/** Copies to be damaged. */
const [one, two] = ['hurt-one', 'hurt-two'];
beforeEach(async () => {
  for (const name of ['one', 'two']) {
    await rm(workshop.path(`hurt-${name}`), { recursive: true, force: true });
    await cp(workshop.path(name), workshop.path(`hurt-${name}`), { recursive: true });
  }
});

const DAMAGES: Record<string, (file: string) => Promise<void>> = {
  'cut short': async (file) => truncate(file, 100_000),
  empty: (file) => truncate(file, 0),
  // Among the weights: every reader takes it.
  'a bit changed': async (file) => {
    const bytes = await readFile(file);
    bytes[bytes.length >> 1]! ^= 1;
    await writeFile(file, bytes);
  },
};

const picture = () => join(workshop.data, 'red/0.png');
const model = () => workshop.path(two);
const USES: Record<string, () => Promise<unknown>> = {
  predict: () => predict(picture(), { model: model(), threads: 1 }).next(),
  evaluate: () => evaluate({ model: model(), data: workshop.data, threads: 1 }),
  export: () => exportModel({ model: model(), precision: 'fp16', threads: 1 }),
  serve: () => serve({ model: model(), port: 0, threads: 1 }),
};

describe.each(Object.entries(DAMAGES))('a model file, %s', (_, damage) => {
  it.each(Object.entries(USES))('is known by %s', async (_, use) => {
    const file = workshop.path(`${two}/model.onnx`);
    await damage(file);
    const error: Error = await use().then(
      () => new Error('it was taken'),
      (error) => error,
    );
    expect(error).toMatchObject({
      code: 'MODEL_INVALID',
      message: expect.stringMatching(
        /model\.onnx: expected the file as it was written \(sha256 \w{64}\), found \d+ bytes/,
      ),
    });
    expect(error.message.match(/model\.onnx/g)).toHaveLength(1);
  });

  it('of stage one is known by finetune', async () => {
    await damage(workshop.path(`${one}/graph.onnx`));
    const options = { data: workshop.data, from: workshop.path(one), out: workshop.path('three'), passes: 1 };
    await expect(finetune(options)).rejects.toMatchObject({
      code: 'MODEL_INVALID',
      message: expect.stringMatching(/graph\.onnx: expected the file as it was written/),
    });
  });

  it('of an export is known by the record beside it', async () => {
    const file = workshop.path(`${two}/model.fp16.onnx`);
    await (await loadModel(file, { threads: 1 })).dispose();
    await damage(file);
    await expect(loadModel(file, { threads: 1 })).rejects.toMatchObject({
      code: 'MODEL_INVALID',
      message: expect.stringMatching(/model\.fp16\.onnx: expected the file as it was written/),
    });
  });

  it('without any record is refused by name where it cannot be read', async () => {
    await mkdir(workshop.path('alone'), { recursive: true });
    const file = workshop.path('alone/model.onnx');
    await cp(workshop.path('two/model.onnx'), file);
    await damage(file);
    const loading = loadModel(file, { threads: 1 });
    // A changed weight is a model, too: nothing could tell.
    if (_ === 'a bit changed') await (await loading).dispose();
    else await expect(loading).rejects.toMatchObject({ code: 'MODEL_INVALID', message: expect.stringContaining(file) });
  });
});

describe('a run.json that is damaged', () => {
  beforeEach(() => truncate(workshop.path(`${two}/run.json`), 500));

  it('stops what needs it, and not what does not', async () => {
    const invalid = { code: 'RESULT_INVALID', message: expect.stringMatching(/run\.json cannot be read: /) };
    await expect(USES['evaluate']!()).rejects.toMatchObject(invalid);
    await expect(USES['export']!()).rejects.toMatchObject(invalid);
    await expect(writeReport(model())).rejects.toMatchObject(invalid);
    expect(await predict(picture(), { model: model(), threads: 1 }).next()).toMatchObject({ done: false });
  });

  it.each(['{"command":', 'null', '{"options":null,"dataset":null}'])(
    'of stage one, %s, stops stage two',
    async (text) => {
      await writeFile(workshop.path(`${one}/run.json`), text);
      const options = { data: workshop.data, from: workshop.path(one), out: workshop.path('three'), passes: 1 };
      await expect(finetune(options)).rejects.toMatchObject({
        code: 'STAGE_ONE',
        message: expect.stringContaining('run.json'),
      });
    },
  );
});

it('the command exits with 1, without a stack', async () => {
  await DAMAGES['a bit changed']!(workshop.path(`${two}/model.onnx`));
  const { code, stderr } = await runCommand(workshop.folder, 'predict', [picture(), '--model', model()]);
  expect(code).toBe(1);
  expect(stderr).toMatch(/^Error: \S+model\.onnx: expected the file as it was written .*needs another name\.\n$/);
});
