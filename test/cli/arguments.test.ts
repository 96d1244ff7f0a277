import { afterEach, describe, expect, it, vi } from 'vitest';
import { type FinetuneArguments, finetuneCommand, finetuneOptions } from '../../src/cli/finetune.ts';
import { predictCommand } from '../../src/cli/predict.ts';
import { pretrainCommand } from '../../src/cli/pretrain.ts';
import { type Command, run } from '../../src/cli/run.ts';
import { given, type StageArguments, stageOptions } from '../../src/cli/stage-flags.ts';

const { argv } = process;
afterEach(() => {
  process.argv = argv;
  process.exitCode = 0;
  process.stdout.removeAllListeners('error');
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

/** What a command is given for some arguments, or says of them. */
async function parse<Options>(command: Command<Options>, ...args: string[]): Promise<unknown> {
  const errors = vi.spyOn(console, 'error').mockImplementation(() => {});
  process.argv = ['node', 'script', ...args];
  let given: unknown;
  const handle = async (values: unknown) => {
    given = values;
  };
  await run({ ...command, handle });
  expect(process.exitCode ?? 0).toBe(given === undefined ? 1 : 0);
  return given ?? errors.mock.calls[0]?.[0];
}

describe('what a command is given', () => {
  it('leaves to the library and to recipes what is not said', async () => {
    const args = (await parse(finetuneCommand, '--data', 'photos')) as Record<string, unknown>;
    expect(given(args)).toEqual({ _: [], data: 'photos', quiet: false, json: false });
    expect(await stageOptions(args as unknown as StageArguments, 'finetune')).toEqual({ data: 'photos' });
  });

  it('go before what a recipe says, and its augmentation is changed piece by piece', async () => {
    const words = ['--data', 'photos', '--recipe', 'tutorial', '--lr', '0.01', '--mixup', '0.2', '--warm-up', '0.1'];
    words.push('--kernels', 'stock', '--ema', '0.9', '--bn', 'bn5*=live', '*=affine');
    const args = (await parse(finetuneCommand, ...words)) as FinetuneArguments;
    expect(await finetuneOptions(args)).toMatchObject({
      data: 'photos',
      kernels: 'stock',
      ema: { decay: 0.9, warmUp: true },
      batchNorm: { 'bn5*': 'live', '*': 'affine' },
      split: 'tutorial',
      passes: 10,
      learningRate: 0.01,
      schedule: { kind: 'constant', warmUp: 0.1 },
      shuffle: false,
      testMean: 'batches',
      augment: { crop: 'resize-crop', flip: 0.5, mixup: 0.2 },
    });
    const plain = (await parse(finetuneCommand, '--data', 'photos', '--no-augment', '--flip', '1')) as StageArguments;
    await expect(stageOptions(plain, 'finetune')).rejects.toThrow('--no-augment: expected alone, received flip too.');
  });

  it('are numbers, switches and lists as their flags say', async () => {
    const args = ['--data', '2024', '--weights', '0x10', '--lr', '5e-4', '--no-augment', '--batch-size=8'];
    const lists = ['--allow-missing', 'res5*', 'fc*', '--allow-missing', 'bn*'];
    expect(await parse(pretrainCommand, ...args, ...lists)).toMatchObject({
      data: '2024',
      weights: '0x10',
      lr: 0.0005,
      augment: false,
      batchSize: 8,
      allowMissing: ['res5*', 'fc*', 'bn*'],
    });
  });

  it('are words as they were typed, whatever they look like', async () => {
    const words = ['1e3', '007', '[1].jpg'];
    expect(await parse(predictCommand, ...words, '--json')).toMatchObject({ _: words, json: true, top: 5 });
    expect(await parse(predictCommand, '--', '--odd.jpg')).toMatchObject({ _: ['--odd.jpg'] });
  });
});

describe('what is refused', () => {
  const DATA = ['--data', 'data', '--weights', 'none'];

  it.each([
    ['no weights', ['--data', 'data'], 'Missing required argument: weights.'],
    ['words beside the flags', [...DATA, 'more'], 'expected only --flags, received other words too.'],
    ['a flag in camelCase', [...DATA, '--batchSize', '4'], 'Unknown argument: batchSize.'],
    [
      'a flag without its value',
      ['--weights', 'none', '--data', '--passes', '1'],
      'Not enough arguments following: data.',
    ],
    ['a number without its value', [...DATA, '--passes'], 'Not enough arguments following: passes.'],
    ['an empty value', ['--weights', 'none', '--data='], '--data: expected a value, received none.'],
    ['a flag twice', [...DATA, '--data', 'others'], '--data: expected a value, received several: data, others.'],
    [
      'a choice twice',
      [...DATA, '--device', 'cpu', '--device', 'cuda'],
      '--device: expected one of auto, cpu, cuda, received several: cpu, cuda.',
    ],
    [
      'a number twice',
      [...DATA, '--passes', '1', '--passes', '2'],
      '--passes: expected a number, received several: 1, 2.',
    ],
    ['a word for a number', [...DATA, '--lr', 'fast'], '--lr: expected a number, received NaN.'],
    ['a value negated', [...DATA, '--no-out'], '--out: expected a value, received false.'],
    ['a list negated', [...DATA, '--no-allow-missing'], '--allow-missing: expected a value, received false.'],
  ])('%s', async (_, args, message) => {
    expect(await parse(pretrainCommand, ...args)).toBe(`Error: ${message} See --help.`);
  });

  it('is so in English, whatever the language of the system', async () => {
    for (const name of ['LC_ALL', 'LC_MESSAGES', 'LANG', 'LANGUAGE']) vi.stubEnv(name, 'de_DE.UTF-8');
    expect(await parse(pretrainCommand, '--data', 'x')).toBe('Error: Missing required argument: weights. See --help.');
  });

  it('comes with the values that are taken', async () => {
    expect(await parse(pretrainCommand, ...DATA, '--device', 'gpu')).toMatch(
      /Argument: device, Given: "gpu", Choices: "auto", "cpu", "cuda"/,
    );
  });
});

it('a defect keeps its stack', async () => {
  const defect = new TypeError('not for people');
  const errors = vi.spyOn(console, 'error').mockImplementation(() => {});
  process.argv = ['node', 'script', '--data', 'x'];
  await run({ ...finetuneCommand, handle: () => Promise.reject(defect) });
  expect(errors.mock.calls).toEqual([[defect]]);
  expect(process.exitCode).toBe(1);
});
