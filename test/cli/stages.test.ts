import { copyFile, cp, mkdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openWorkshop, snapshot, type Workshop } from '../training/workshop.ts';
import { type CommandName, type Outcome, runCommand } from './command.ts';

let workshop: Workshop;
let stageOne: Outcome;
let stageTwo: Outcome;

const run = (command: CommandName, ...args: string[]) => runCommand(workshop.folder, command, args);
const lines = (text: string) => text.trimEnd().split('\n');
/** The tutorial's own form: `%.5f`. */
const FIGURES = 'Cost:\\d+\\.\\d{5}, Accuracy:[01]\\.\\d{5}';
const SPEED = '\\d+\\.\\d img/s, \\d+\\.\\d % waiting for pictures';

/** A command refused: exit code 1, one message, no stack. */
async function refusal(command: CommandName, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(command, ...args);
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(stderr).toMatch(/^Error: /);
  expect(stderr).not.toMatch(/^\s+at /m);
  return stderr.trimEnd();
}

beforeAll(async () => {
  workshop = await openWorkshop();
  await mkdir(workshop.path('models'));
  await copyFile(workshop.graph, workshop.path('models/graph.onnx'));
  const common = ['--data', 'data', '--threads', '1', '--device', 'cpu'];
  stageOne = await run('pretrain', ...common, '--weights', 'none', '--passes', '2', '--save', 'paddle');
  stageTwo = await run('finetune', ...common, '--passes', '1', '--batch-size', '10');
});
afterAll(() => workshop.remove());

describe('a run', () => {
  it("logs the tutorial's lines and no escape code", () => {
    expect(stageOne.stderr).toBe('');
    const [data, device, ...passes] = lines(stageOne.stdout);
    expect(data).toBe('Data: folder, split ratio:0.8: 3 classes, 24 to train, 6 to test');
    expect(device).toBe('Device: cpu, 1 threads (as asked)');
    const forms = [
      `^Pass:0, Batch:0, ${FIGURES}$`,
      `^Pass:0: ${SPEED}$`,
      `^Test:0, ${FIGURES}$`,
      `^Pass:1, Batch:0, ${FIGURES}$`,
      `^Pass:1: ${SPEED}$`,
      `^Test:1, ${FIGURES}$`,
      '^Saved: models/pretrain_model \\(\\d+\\.\\d s\\)$',
    ];
    expect(passes).toHaveLength(forms.length);
    for (const [index, form] of forms.entries()) expect(passes[index]).toMatch(new RegExp(form));
    expect({ ...stageTwo, stdout: '' }).toEqual({ code: 0, stdout: '', stderr: '' });
    expect(lines(stageTwo.stdout)).toHaveLength(6);
  });

  it('records what was asked, and that alone', async () => {
    const { options, history } = JSON.parse(await readFile(workshop.path('models/pretrain_model/run.json'), 'utf8'));
    expect(options).toEqual({
      data: 'data',
      passes: 2,
      batchSize: 16,
      learningRate: 0.001,
      schedule: { kind: 'constant' },
      batchNorm: 'frozen',
      optimizer: 'adam',
      labelSmoothing: 0,
      augment: true,
      shuffle: true,
      test: true,
      watch: 'test',
      testFlip: false,
      testMean: 'pictures',
      keep: 'last',
      keepTop: 0,
      metric: 'top1',
      seed: 0,
      device: 'cpu',
      onBadImage: 'stop',
      onNan: 'stop',
      graph: 'models/graph.onnx',
      allowMissing: [],
      savePaddle: true,
      out: 'models/pretrain_model',
      weights: 'none',
      threads: 1,
    });
    const [, last] = history;
    expect(stageOne.stdout).toContain(
      `Test:1, Cost:${last.testCost.toFixed(5)}, Accuracy:${last.testAccuracy.toFixed(5)}\n`,
    );
  });

  it('takes weights that it wrote itself, and says which', async () => {
    const weights = ['--weights', 'models/pretrain_model/paddle', '--out', 'again', '--passes', '1'];
    const { code, stdout } = await run('pretrain', '--data', 'data', ...weights);
    expect(code).toBe(0);
    expect(lines(stdout)[1]).toBe(
      '265 loaded, 0 missing, 0 unexpected, 0 wrong shape (paddle names); left out: head fc_0.w_0, fc_0.b_0',
    );
  });
});

describe("the tutorial's recipe", () => {
  it('tells of each variable that it loads, trains in order and tests nothing in stage one', async () => {
    const weights = ['--weights', 'models/pretrain_model/paddle', '--split', 'ratio:0.8', '--passes', '1'];
    const { code, stdout } = await run(
      'pretrain',
      '--data',
      'data',
      ...weights,
      '--recipe',
      'tutorial',
      '--out',
      'as-told',
    );
    expect(code).toBe(0);
    const found = lines(stdout);
    expect(found).toContain('Load model: models/pretrain_model/paddle/res5a_branch2a_weights');
    expect(found.filter((line) => line.startsWith('Load model: '))).toHaveLength(265);
    expect(found.filter((line) => line.startsWith('Test'))).toEqual([]);
    const { options } = JSON.parse(await readFile(workshop.path('as-told/run.json'), 'utf8'));
    expect(options).toMatchObject({
      batchNorm: 'live',
      shuffle: false,
      test: false,
      savePaddle: true,
      learningRate: 1e-3,
    });
  });
});

describe('predict', () => {
  const predictions = async (...args: string[]) => {
    const { code, stdout, stderr } = await run('predict', ...args);
    return { code, stderr, found: stdout === '' ? [] : lines(stdout).map((line) => JSON.parse(line)) };
  };

  it('answers for files, folders and patterns, one JSON object a line', async () => {
    await cp(workshop.path('data/red/1.png'), workshop.path('photos/inner/deep.PNG'));
    await writeFile(workshop.path('photos/notes.txt'), 'no picture');
    const args = ['--json', '--top', '2', 'data/blue/3.png', 'photos', 'data/*/1.png', './data/blue/3.png'];
    const { code, stderr, found } = await predictions(...args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const files = ['blue/3.png', 'photos/inner/deep.PNG', 'blue/1.png', 'green/1.png', 'red/1.png'];
    expect(found.map(({ file }) => file)).toEqual(files.map((file) => (file.includes('deep') ? file : `data/${file}`)));
    for (const { predictions: best } of found) {
      expect(best).toHaveLength(2);
      expect(['blue', 'green', 'red']).toContain(best[0].label);
      expect(best[0].probability).toBeGreaterThanOrEqual(best[1].probability);
    }
    expect(found[1].predictions).toEqual(found[4].predictions);
  });

  it('prints the classes with percentages by default, at most as many as there are', async () => {
    const { stdout } = await run('predict', '--top', '9', 'data/blue/0.png');
    expect(stdout).toMatch(/^data\/blue\/0\.png: \w+ \d+\.\d %, \w+ \d+\.\d %, \w+ \d+\.\d %\n$/);
  });

  it('answers for the others when one picture is broken, and exits with 1', async () => {
    await mkdir(workshop.path('mixed'));
    await copyFile(workshop.path('data/red/0.png'), workshop.path('mixed/a.png'));
    await copyFile(workshop.path('data/red/0.png'), workshop.path('mixed/b.png'));
    await truncate(workshop.path('mixed/b.png'), 60);
    await copyFile(workshop.path('data/red/0.png'), workshop.path('mixed/c.png'));
    const { code, stderr, found } = await predictions('--json', 'mixed');
    expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
    expect(found.map(({ file, error }) => [file, error === undefined])).toEqual([
      ['mixed/a.png', true],
      ['mixed/b.png', false],
      ['mixed/c.png', true],
    ]);
    expect(found[1].error).toMatch(/^mixed\/b\.png cannot be decoded: /);
    const plain = await run('predict', 'mixed');
    expect(plain.code).toBe(1);
    expect(lines(plain.stdout)).toHaveLength(2);
    expect(plain.stderr).toMatch(/^Error: mixed\/b\.png cannot be decoded: .*\n$/);
  });

  it('refuses what is not there, or no model of ours', async () => {
    expect(await refusal('predict', 'absent.jpg')).toMatch(/"absent\.jpg" stands for no file/);
    expect(await refusal('predict', '--model', 'none', 'data')).toMatch(
      /a fine-tuned model at none.*npx ortune finetune/,
    );
    expect(await refusal('predict', '--model', 'graph.onnx', 'data')).toMatch(/graph\.onnx.*lack ortune\.labels/);
    expect(await refusal('predict')).toMatch(/at least one file, folder or pattern/);
    expect(await refusal('predict', '--top', '0', 'data')).toBe(
      'Error: --top: expected a whole number from 1 up, received 0',
    );
    expect(await refusal('predict', '--threads', '1.5', 'data')).toMatch(/--threads: .* received 1\.5/);
  });
});

describe('a mistake', () => {
  const DATA = ['--data', 'data', '--weights', 'none'];

  it.each([
    ['an unknown flag', [...DATA, '--learning-rate', '1'], /^Error: Unknown argument: learning-rate\. See --help\.$/],
    ['no data', ['--weights', 'none'], /^Error: Missing required argument: data\. See --help\.$/],
    [
      'a value out of range',
      [...DATA, '--passes', '0'],
      /^Error: passes: expected a whole number from 1 up, received 0$/,
    ],
  ])('%s is refused', async (_, args, message) => {
    expect(await refusal('pretrain', ...args)).toMatch(message);
  });

  it('is not to ask for help', async () => {
    const { code, stdout, stderr } = await run('finetune', '--help');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^npx ortune finetune --data DIR\n/);
    expect(stdout).toMatch(/--passes .*\[number\] \[default: 10\]/);
  });

  it('in the name of the weights is found before the pictures are read through', async () => {
    await cp(workshop.data, workshop.path('spoilt'), { recursive: true });
    await truncate(workshop.path('spoilt/red/0.png'), 60);
    const { code, stderr } = await run('pretrain', '--data', 'spoilt', '--weights', 'absent.pth');
    expect(code).toBe(1);
    expect(stderr).toMatch(/^Error: .*absent\.pth/);
    expect(stderr).not.toMatch(/^\s+at /m);
  });

  it('in the place of the results ends without a stack and leaves nothing', async () => {
    await writeFile(workshop.path('file'), '');
    const before = await snapshot(workshop.folder);
    const { code, stderr } = await run('pretrain', ...DATA, '--passes', '1', '--out', 'file/model');
    expect(code).toBe(1);
    expect(stderr).toMatch(/^Error: --out file\/model: .*\(ENOTDIR\)/);
    expect(stderr).not.toMatch(/^\s+at /m);
    expect(await snapshot(workshop.folder)).toEqual(before);
  });
});

it("labels that someone's editor broke are named", async () => {
  await cp(workshop.path('models/pretrain_model'), workshop.path('edited'), { recursive: true });
  const finetune = () => refusal('finetune', '--data', 'data', '--from', 'edited');
  await writeFile(workshop.path('edited/labels.json'), '["blue", "green",\n "red",]');
  expect(await finetune()).toMatch(/edited\/labels\.json: expected a JSON array of class names: /);
  await writeFile(workshop.path('edited/labels.json'), '{"blue": 0}');
  expect(await finetune()).toMatch(/edited\/labels\.json: expected a JSON array of class names, received other JSON/);
});
