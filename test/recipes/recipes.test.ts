import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, expectTypeOf, test } from 'vitest';
import type { ResNetOptions } from '../../onnx/index.ts';
import { type AugmentationOptions, checkAugmentation } from '../../src/augment/options.ts';
import {
  checkRecipe,
  type FinetuneRecipe,
  loadRecipe,
  RECIPES,
  type Recipe,
  readRecipe,
} from '../../src/recipes/index.ts';
import { type ScheduleOptions, schedule } from '../../src/schedules/learning-rate.ts';
import type { FinetuneOptions, PretrainOptions } from '../../src/training/options.ts';

const complaint = (source: string): string => {
  try {
    readRecipe(source, 'my.yaml', 'my');
  } catch (error) {
    expect(error).toMatchObject({ name: 'OrtuneError', code: 'RECIPE_INVALID' });
    return (error as Error).message;
  }
  throw new Error('expected a complaint');
};

describe('the recipes that come along', () => {
  test('tutorial is the tutorial to the letter', async () => {
    const stage = {
      passes: 10,
      batchSize: 16,
      optimizer: 'adam',
      learningRate: 1e-3,
      schedule: { kind: 'constant' },
      batchNorm: 'live',
      augment: { crop: 'resize-crop', flip: 0.5 },
      shuffle: false,
    };
    expect(await loadRecipe('tutorial')).toMatchObject({
      name: 'tutorial',
      network: { depth: 50, strideIn: '3x3', imageSize: 224, inputNorm: 'tutorial' },
      split: 'tutorial',
      pretrain: { ...stage, test: false, allowMissing: ['*'], savePaddle: true },
      finetune: { ...stage, weightDecay: 0, train: ['*'], test: true, testMean: 'batches' },
    });
  });

  test.each(RECIPES)('%s has values that its parts take', async (name) => {
    const { pretrain, finetune } = await loadRecipe(name);
    for (const stage of [pretrain, finetune]) {
      expect(schedule(stage?.schedule ?? { kind: 'constant' })(0, 100)).toBeGreaterThan(0);
      if (typeof stage?.augment === 'object') expect(checkAugmentation(stage.augment).flip).toBe(0.5);
    }
  });

  test('settings have the types of the options that they set', () => {
    type Set<Key extends keyof FinetuneRecipe> = NonNullable<FinetuneRecipe[Key]>;
    expectTypeOf<Set<'schedule'>>().toExtend<ScheduleOptions>();
    expectTypeOf<Exclude<Set<'augment'>, boolean>>().toExtend<AugmentationOptions>();
    expectTypeOf<NonNullable<Recipe['network']>>().toExtend<Partial<ResNetOptions>>();
    expectTypeOf<FinetuneRecipe>().toExtend<Partial<FinetuneOptions>>();
    expectTypeOf<NonNullable<Recipe['pretrain']>>().toExtend<Partial<PretrainOptions>>();
  });
});

describe('a file', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ortune-recipe-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  test('is a recipe of its own name', async () => {
    const file = join(folder, 'quick.yaml');
    await writeFile(file, 'finetune:\n  passes: 2\n  batchNorm: { "bn5*": live, "*": frozen }\n');
    const recipe = await loadRecipe(file);
    expect(recipe).toEqual({ name: 'quick', finetune: { passes: 2, batchNorm: { 'bn5*': 'live', '*': 'frozen' } } });
    expect(Object.keys(recipe.finetune?.batchNorm ?? {})).toEqual(['bn5*', '*']);
  });

  test.each([
    ['tutoral', /received tutoral, which is not there\. Did you mean tutorial\?/],
    ['none/such.yaml', /expected tutorial, recommended or a YAML file, received none\/such\.yaml/],
    ['.', /no regular file/],
  ])('%s is none', async (name, message) => {
    await expect(loadRecipe(name)).rejects.toMatchObject({
      code: 'RECIPE_NOT_FOUND',
      message: expect.stringMatching(message),
    });
  });

  test('of bytes that are no text, or of too many, is none', async () => {
    const file = join(folder, 'x.yaml');
    await writeFile(file, Buffer.from([0x61, 0xff, 0xfe]));
    await expect(loadRecipe(file)).rejects.toMatchObject({ code: 'RECIPE_INVALID' });
    await writeFile(file, '#'.repeat(70_000));
    await expect(loadRecipe(file)).rejects.toMatchObject({ code: 'RECIPE_NOT_FOUND' });
  });
});

describe('a complaint names file, line, setting, what was expected and what came', () => {
  test.each([
    [
      'pretrain:\n\n  learningRate: fast\n',
      'my.yaml:3: pretrain.learningRate: expected a number above 0; received "fast"',
    ],
    ['pretrain:\n  learningRate: 0\n', 'my.yaml:2: pretrain.learningRate: expected a number above 0; received 0'],
    [
      'pretrain:\n  learningRate: .inf\n',
      'my.yaml:2: pretrain.learningRate: expected a number above 0; received Infinity',
    ],
    ['pretrain:\n  learningRate: .nan\n', 'my.yaml:2: pretrain.learningRate: expected a number above 0; received NaN'],
    ['pretrain:\n  learningRate:\n', 'my.yaml:2: pretrain.learningRate: expected a number above 0; received nothing'],
    ['finetune:\n  passes: 2.5\n', 'my.yaml:2: finetune.passes: expected a whole number from 1 up; received 2.5'],
    [
      'finetune:\n  layerDecay: 2\n',
      'my.yaml:2: finetune.layerDecay: expected a number above 0 and at most 1; received 2',
    ],
    ['finetune:\n  momentum: 1\n', 'my.yaml:2: finetune.momentum: expected a number from 0 to below 1; received 1'],
    ['finetune:\n  nesterov: yes\n', 'my.yaml:2: finetune.nesterov: expected true or false; received "yes"'],
    [
      'finetune:\n  optimizer: adamax\n',
      'my.yaml:2: finetune.optimizer: expected one of adam, adamw, sgd; received "adamax"',
    ],
    [
      'finetune:\n  train: []\n',
      "my.yaml:2: finetune.train: expected a list of patterns, such as ['fc_*', 'res5*']; received an empty list",
    ],
    [
      "finetune:\n  train:\n    - 'fc_*'\n    - 'res 5'\n",
      'my.yaml:4: finetune.train.1: expected a name of letters, digits, _ and ., with * for any of them and ? for one; received "res 5"',
    ],
    [
      'finetune:\n  batchNorm:\n    bn5*: alive\n',
      'my.yaml:3: finetune.batchNorm.bn5*: expected one of live, affine, frozen; received "alive"',
    ],
    [
      'finetune:\n  batchNorm: alive\n',
      "my.yaml:2: finetune.batchNorm: expected one of live, affine, frozen, or one for each pattern, such as {'bn5*': live, '*': frozen}; received \"alive\"",
    ],
    [
      'finetune:\n  schedule: cosine\n',
      'my.yaml:2: finetune.schedule: expected a schedule, such as {kind: cosine}; received "cosine"',
    ],
    [
      'finetune:\n  schedule:\n    kind: cos\n',
      'my.yaml:3: finetune.schedule.kind: expected one of constant, step, cosine, one-cycle; received "cos"',
    ],
    [
      'finetune:\n  schedule: { kind: step, factor: 0.1 }\n',
      'my.yaml:2: finetune.schedule.milestones: expected a list of shares of the run; received nothing',
    ],
    [
      'finetune:\n  augment:\n    crop:\n      scale: [1, 0.5]\n',
      'my.yaml:4: finetune.augment.crop.scale: expected a least and a greatest value, such as [0.5, 1], the least first; received a list',
    ],
    ['finetune: 3\n', 'my.yaml:1: finetune: expected settings, each on a line of its own as `name: value`; received 3'],
    ['- a\n', 'my.yaml:1: the recipe: expected settings, each on a line of its own as `name: value`; received a list'],
    ['', 'my.yaml: the recipe: expected settings, each on a line of its own as `name: value`; received nothing'],
  ])('%j', (source, message) => {
    expect(complaint(source)).toBe(message);
  });

  test('all of them at once', () => {
    expect(complaint('pretrain:\n  passes: 0\nfinetune:\n  passes: many\n  pases: 3\n').split('\n')).toEqual([
      'my.yaml:2: pretrain.passes: expected a whole number from 1 up; received 0',
      'my.yaml:4: finetune.passes: expected a whole number from 1 up; received "many"',
      'my.yaml:5: finetune.pases: unknown setting; did you mean passes?',
    ]);
    const many = Array.from({ length: 30 }, (_, index) => `  setting${index}: 1\n`).join('');
    expect(complaint(`pretrain:\n${many}`).split('\n').at(-1)).toBe('and 20 more');
  });

  test('where it is used by an alias', () => {
    const source = 'pretrain: &stage\n  passes: 0\nfinetune: *stage\n';
    expect(complaint(source)).toMatch(/^my.yaml:2: pretrain.passes.*\nmy.yaml:3: finetune.passes/);
  });
});

describe('an unknown setting is answered by the nearest known one', () => {
  test.each([
    ['pretrain:\n  learningRat: 1\n', 'my.yaml:2: pretrain.learningRat: unknown setting; did you mean learningRate?'],
    [
      'pretrain:\n  learning-rate: 1\n',
      'my.yaml:2: pretrain.learning-rate: unknown setting; did you mean learningRate?',
    ],
    ['pretrain:\n  BATCH_SIZE: 1\n', 'my.yaml:2: pretrain.BATCH_SIZE: unknown setting; did you mean batchSize?'],
    ['fintune:\n  passes: 1\n', 'my.yaml:1: fintune: unknown setting; did you mean finetune?'],
    [
      'finetune:\n  schedule:\n    kind: cosine\n    flor: 0.1\n',
      'my.yaml:4: finetune.schedule.flor: unknown setting; did you mean floor?',
    ],
    [
      'finetune:\n  augment: { mixupp: 0.2 }\n',
      'my.yaml:2: finetune.augment.mixupp: unknown setting; did you mean mixup?',
    ],
    [
      'xyz: 1\n',
      'my.yaml:1: xyz: unknown setting; expected one of name, description, network, split, pretrain, finetune',
    ],
  ])('%j', (source, message) => {
    expect(complaint(source)).toBe(message);
  });
});

describe('a hostile file', () => {
  test.each(['constructor', 'prototype', 'toString', 'hasOwnProperty'])('cannot set %s', (key) => {
    expect(complaint(`${key}:\n  polluted: true\n`)).toContain('unknown setting');
    expect(complaint(`finetune:\n  ${key}: { polluted: true }\n`)).toContain(`my.yaml:2: finetune.${key}`);
  });

  test.each([
    ['a section', '__proto__:\n  polluted: true\n'],
    ['a setting', 'finetune: { passes: 1,\n  __proto__: { polluted: true } }\n'],
    ['a pattern', 'finetune:\n  batchNorm: { "*": live, \n    "__proto__": live }\n'],
  ])('cannot set a prototype as %s', (_, source) => {
    expect(complaint(source)).toMatch(
      /^my\.yaml:[123]: expected names of settings and patterns, received __proto__\.$/,
    );
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
    expect(() => checkRecipe(JSON.parse('{"__proto__": {"passes": 1}}'), 'flags')).toThrow('unknown setting');
  });

  test('of aliases that multiply is refused', () => {
    const levels = Array.from({ length: 9 }, (_, level) => {
      const of = level === 0 ? '"lol"' : `*a${level - 1}`;
      return `a${level}: &a${level} [${Array(9).fill(of).join(', ')}]\n`;
    });
    const start = performance.now();
    expect(complaint(levels.join(''))).toMatch(/alias/i);
    expect(performance.now() - start).toBeLessThan(5_000);
  });

  test.each([
    ['brackets without end', '['.repeat(30_000)],
    ['nested settings', Array.from({ length: 300 }, (_, depth) => `${' '.repeat(depth)}a:\n`).join('')],
    ['two of one name', 'finetune:\n  passes: 1\n  passes: 2\n'],
    ['two documents', 'name: a\n---\nname: b\n'],
    ['a tag', 'name: !!js/function "x"\n'],
    ['a tab', 'finetune:\n\tpasses: 1\n'],
    ['too many bytes', `# ${'x'.repeat(70_000)}`],
    ['a key that is a list', '? [a, b]\n: 1\n'],
    ['a key for the terminal', '"\\e[31mred": 1\n'],
  ])('%s', (_, source) => {
    const message = complaint(source);
    expect(message).toMatch(/^my\.yaml/);
    expect(message).not.toContain('\u001b');
    expect(message.length).toBeLessThan(2_000);
  });
});

test('settings from elsewhere are checked the same', () => {
  expect(checkRecipe({ finetune: { passes: 3 } }, 'flags')).toEqual({ name: 'flags', finetune: { passes: 3 } });
  expect(() => checkRecipe({ finetune: { pases: 3 } }, 'flags')).toThrow(
    'flags: finetune.pases: unknown setting; did you mean passes?',
  );
});
