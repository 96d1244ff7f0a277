import { parseBatchNorm } from '../training/batch-norm.ts';
import type { FINETUNE_DEFAULTS, PRETRAIN_DEFAULTS } from '../training/options.ts';
import { CUDA_FLAGS, type CudaArguments, cudaOptions } from './cuda-flags.ts';

/** The flags that both stages have, with the stage's own defaults. */
export function stageFlags(defaults: typeof PRETRAIN_DEFAULTS | typeof FINETUNE_DEFAULTS) {
  return {
    data: { type: 'string', demandOption: true, describe: 'Folder (or CSV file) of the pictures' },
    split: { type: 'string', describe: "tutorial, official or ratio:0.8; the data set's own by default" },
    passes: { type: 'number', default: defaults.passes, describe: 'Times that each training picture is seen' },
    'batch-size': { type: 'number', default: defaults.batchSize, describe: 'Pictures of one step' },
    lr: { type: 'number', default: defaults.learningRate, describe: 'Learning rate' },
    bn: {
      type: 'string',
      array: true,
      default: [defaults.batchNorm as string],
      describe:
        "BatchNorm: live (the batch's own statistics), affine (running ones; scale and offset train) or frozen; by pattern: 'bn5*=live' '*=frozen'",
    },
    augment: { type: 'boolean', default: defaults.augment, describe: 'Crop and mirror training pictures at random' },
    'on-bad-image': {
      choices: ['stop', 'skip'] as const,
      default: defaults.onBadImage,
      describe: 'What to do about pictures that cannot be decoded',
    },
    seed: { type: 'number', default: defaults.seed, describe: 'Seed of order, crops and split' },
    device: { choices: ['auto', 'cpu', 'cuda'] as const, default: defaults.device, describe: 'Where to train' },
    ...CUDA_FLAGS,
    threads: { type: 'number', describe: 'Threads of a step; all there are by default' },
    out: { type: 'string', default: defaults.out, describe: 'Folder of the results' },
  } as const;
}

export interface StageArguments extends CudaArguments {
  data: string;
  split: string | undefined;
  passes: number;
  batchSize: number;
  lr: number;
  bn: string[];
  augment: boolean;
  onBadImage: 'stop' | 'skip';
  seed: number;
  device: 'auto' | 'cpu' | 'cuda';
  threads: number | undefined;
  out: string;
}

/** The flags as the library's options. */
export function stageOptions(args: StageArguments) {
  return {
    data: args.data,
    passes: args.passes,
    batchSize: args.batchSize,
    learningRate: args.lr,
    batchNorm: parseBatchNorm(args.bn),
    augment: args.augment,
    onBadImage: args.onBadImage,
    seed: args.seed,
    device: args.device,
    out: args.out,
    ...cudaOptions(args),
    ...(args.split !== undefined && { split: args.split }),
    ...(args.threads !== undefined && { threads: args.threads }),
  };
}
