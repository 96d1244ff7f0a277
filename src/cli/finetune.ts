import { finetune } from '../training/finetune.ts';
import { FINETUNE_DEFAULTS, type FinetuneOptions } from '../training/options.ts';
import type { Command } from './run.ts';
import { runStage } from './stage.ts';
import { type Asked, given, outputOf, type StageArguments, stageFlags, stageOptions } from './stage-flags.ts';

export interface FinetuneArguments extends StageArguments {
  from: string | undefined;
  train: string[] | undefined;
  optimizer: 'adam' | 'adamw' | 'sgd' | undefined;
  weightDecay: number | undefined;
  momentum: number | undefined;
  nesterov: boolean | undefined;
  clipNorm: number | undefined;
  accumulate: number | undefined;
  classWeights: 'none' | 'balanced' | undefined;
  backboneRate: number | undefined;
  layerDecay: number | undefined;
  precision: 'fp32' | 'fp16' | undefined;
  ema: number | undefined;
}

/** The flags of stage two. */
export const FINETUNE_FLAGS = {
  ...stageFlags(FINETUNE_DEFAULTS),
  from: { type: 'string', defaultDescription: String(FINETUNE_DEFAULTS.from), describe: 'Folder of stage one' },
  train: {
    type: 'string',
    array: true,
    defaultDescription: FINETUNE_DEFAULTS.train.join(' '),
    describe: "What is trained, by name: 'fc_*' 'res5*' 'bn5*'",
  },
  optimizer: {
    choices: ['adam', 'adamw', 'sgd'] as const,
    defaultDescription: String(FINETUNE_DEFAULTS.optimizer),
    describe: 'How the parameters follow their gradients',
  },
  'weight-decay': {
    type: 'number',
    defaultDescription: String(FINETUNE_DEFAULTS.weightDecay),
    describe: 'Pull of weights towards zero (adamw, sgd); BatchNorm and bias are left alone',
  },
  momentum: { type: 'number', defaultDescription: String(FINETUNE_DEFAULTS.momentum), describe: "SGD's momentum" },
  nesterov: {
    type: 'boolean',
    defaultDescription: String(FINETUNE_DEFAULTS.nesterov),
    describe: "Nesterov's form of it",
  },
  'clip-norm': {
    type: 'number',
    defaultDescription: String(FINETUNE_DEFAULTS.clipNorm),
    describe: 'Largest norm of a gradient; 0: none',
  },
  accumulate: {
    type: 'number',
    defaultDescription: String(FINETUNE_DEFAULTS.accumulate),
    describe: 'Batches of one update',
  },
  'class-weights': {
    choices: ['none', 'balanced'] as const,
    defaultDescription: String(FINETUNE_DEFAULTS.classWeights),
    describe: 'balanced: each class counts the same in the loss, however few its pictures',
  },
  'backbone-rate': {
    type: 'number',
    defaultDescription: String(FINETUNE_DEFAULTS.backboneRate),
    describe: 'Factor on the learning rate of all but the head',
  },
  'layer-decay': {
    type: 'number',
    defaultDescription: String(FINETUNE_DEFAULTS.layerDecay),
    describe: 'Factor on the learning rate from each block to the one before it',
  },
  ema: {
    type: 'number',
    describe: 'Test and keep a running average of the weights, of which each update keeps this share, as 0.99',
  },
  precision: {
    choices: ['fp32', 'fp16'] as const,
    defaultDescription: String(FINETUNE_DEFAULTS.precision),
    describe: 'fp16: convolutions in half precision, with --device cuda',
  },
} as const;

/** The flags as the library's options. @throws OrtuneError `RECIPE_*`, `OPTION` */
export async function finetuneOptions(args: Asked<FinetuneArguments>): Promise<FinetuneOptions> {
  const { from, train, optimizer, weightDecay, momentum, nesterov, clipNorm, accumulate } = args;
  const { classWeights, backboneRate, layerDecay, precision } = args;
  const ema = args.ema === undefined ? undefined : { decay: args.ema, warmUp: true };
  const update = { optimizer, weightDecay, momentum, nesterov, clipNorm, accumulate, backboneRate, layerDecay, ema };
  return {
    ...(await stageOptions(args, 'finetune')),
    ...given({ from, train, ...update, classWeights, precision }),
  };
}

export const finetuneCommand: Command<FinetuneArguments> = {
  usage: 'npm run finetune -- --data DIR\n\nStage two: trains the whole network and writes the model to be served.',
  flags: FINETUNE_FLAGS,
  handle: (args) =>
    runStage({ output: outputOf(args) }, async (hooks) => {
      await finetune({ ...(await finetuneOptions(args)), ...hooks });
    }),
};
