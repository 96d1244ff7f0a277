import { finetune } from '../training/finetune.ts';
import { FINETUNE_DEFAULTS } from '../training/options.ts';
import type { Command } from './run.ts';
import { runStage } from './stage.ts';
import { type StageArguments, stageFlags, stageOptions } from './stage-flags.ts';

interface Options extends StageArguments {
  from: string;
  train: string[];
  optimizer: 'adam' | 'adamw' | 'sgd';
  weightDecay: number;
  momentum: number;
  nesterov: boolean;
  clipNorm: number;
  accumulate: number;
  labelSmoothing: number;
  classWeights: 'none' | 'balanced';
  backboneRate: number;
  layerDecay: number;
  precision: 'fp32' | 'fp16';
}

export const finetuneCommand: Command<Options> = {
  usage: 'npm run finetune -- --data DIR\n\nStage two: trains the whole network and writes the model to be served.',
  flags: {
    ...stageFlags(FINETUNE_DEFAULTS),
    from: { type: 'string', default: FINETUNE_DEFAULTS.from, describe: 'Folder of stage one' },
    train: {
      type: 'string',
      array: true,
      default: [...FINETUNE_DEFAULTS.train],
      describe: "What is trained, by name: 'fc_*' 'res5*' 'bn5*'",
    },
    optimizer: {
      choices: ['adam', 'adamw', 'sgd'] as const,
      default: FINETUNE_DEFAULTS.optimizer,
      describe: 'How the parameters follow their gradients',
    },
    'weight-decay': {
      type: 'number',
      default: FINETUNE_DEFAULTS.weightDecay,
      describe: 'Pull of weights towards zero (adamw, sgd); BatchNorm and bias are left alone',
    },
    momentum: { type: 'number', default: FINETUNE_DEFAULTS.momentum, describe: "SGD's momentum" },
    nesterov: { type: 'boolean', default: FINETUNE_DEFAULTS.nesterov, describe: "Nesterov's form of it" },
    'clip-norm': {
      type: 'number',
      default: FINETUNE_DEFAULTS.clipNorm,
      describe: 'Largest norm of a gradient; 0: none',
    },
    accumulate: { type: 'number', default: FINETUNE_DEFAULTS.accumulate, describe: 'Batches of one update' },
    'label-smoothing': {
      type: 'number',
      default: FINETUNE_DEFAULTS.labelSmoothing,
      describe: 'Share of each label that is spread over the classes',
    },
    'class-weights': {
      choices: ['none', 'balanced'] as const,
      default: FINETUNE_DEFAULTS.classWeights,
      describe: 'balanced: each class counts the same in the loss, however few its pictures',
    },
    'backbone-rate': {
      type: 'number',
      default: FINETUNE_DEFAULTS.backboneRate,
      describe: 'Factor on the learning rate of all but the head',
    },
    'layer-decay': {
      type: 'number',
      default: FINETUNE_DEFAULTS.layerDecay,
      describe: 'Factor on the learning rate from each block to the one before it',
    },
    precision: {
      choices: ['fp32', 'fp16'] as const,
      default: FINETUNE_DEFAULTS.precision,
      describe: 'fp16: convolutions in half precision, with --device cuda',
    },
  },
  handle: (args) => {
    const { from, train, optimizer, weightDecay, momentum, nesterov, clipNorm, accumulate } = args;
    const { labelSmoothing, classWeights, backboneRate, layerDecay, precision } = args;
    const update = { optimizer, weightDecay, momentum, nesterov, clipNorm, accumulate, backboneRate, layerDecay };
    return runStage(false, (hooks) =>
      finetune({ ...stageOptions(args), ...hooks, from, train, ...update, labelSmoothing, classWeights, precision }),
    );
  },
};
