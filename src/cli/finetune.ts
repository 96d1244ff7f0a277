import type { Precision } from '../../onnx/index.ts';
import { EXPORT_PRECISIONS, exportModel } from '../export/index.ts';
import { finetune } from '../training/finetune.ts';
import { FINETUNE_DEFAULTS, type FinetuneOptions } from '../training/options.ts';
import type { Command } from './run.ts';
import { settingFlag } from './setting-flag.ts';
import { runStage } from './stage.ts';
import { type Asked, given, reportOptions, type StageArguments, stageFlags, stageOptions } from './stage-flags.ts';

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
  precision: Precision | undefined;
  ema: number | undefined;
}

const setting = (name: Parameters<typeof settingFlag<'finetune'>>[1]) =>
  settingFlag('finetune', name, FINETUNE_DEFAULTS);

/** The flags of stage two. */
export const FINETUNE_FLAGS = {
  ...stageFlags('finetune'),
  from: { type: 'string', defaultDescription: String(FINETUNE_DEFAULTS.from), describe: 'Folder of stage one' },
  train: setting('train'),
  optimizer: setting('optimizer'),
  'weight-decay': setting('weightDecay'),
  momentum: setting('momentum'),
  nesterov: setting('nesterov'),
  'clip-norm': setting('clipNorm'),
  accumulate: setting('accumulate'),
  'class-weights': setting('classWeights'),
  'backbone-rate': setting('backboneRate'),
  'layer-decay': setting('layerDecay'),
  ema: {
    type: 'number',
    describe: 'Test and keep a running average of the weights, of which each update keeps this share, as 0.99',
  },
  precision: setting('precision'),
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

interface Options extends FinetuneArguments {
  export: (typeof EXPORT_PRECISIONS)[number][] | undefined;
}

export const finetuneCommand: Command<Options> = {
  usage: 'npx ortune finetune --data DIR\n\nStage two: trains the whole network and writes the model to be served.',
  flags: {
    ...FINETUNE_FLAGS,
    export: {
      choices: EXPORT_PRECISIONS,
      array: true,
      describe: 'Also write the model in smaller forms, as npx ortune export does',
    },
  },
  handle: async (args) =>
    runStage(await reportOptions(args, args.data), async (hooks) => {
      const options = await finetuneOptions(args);
      const { folder } = await finetune({ ...options, ...hooks });
      for (const precision of new Set(args.export)) {
        await exportModel({ model: folder, precision, data: options.data, threads: options.threads, ...hooks });
      }
    }),
};
