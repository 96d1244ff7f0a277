import { PRETRAIN_DEFAULTS } from '../training/options.ts';
import { pretrain } from '../training/pretrain.ts';
import type { Command } from './run.ts';
import { settingFlag } from './setting-flag.ts';
import { runStage } from './stage.ts';
import { given, reportOptions, type StageArguments, stageFlags, stageOptions } from './stage-flags.ts';

interface Options extends StageArguments {
  weights: string;
  graph: string | undefined;
  optimizer: 'adam' | 'lbfgs' | undefined;
  allowMissing: string[] | undefined;
  save: 'paddle' | undefined;
  verbose: boolean;
}

export const pretrainCommand: Command<Options> = {
  usage: 'npx ortune pretrain --data DIR --weights PATH|none\n\nStage one: trains a new head on pretrained weights.',
  flags: {
    ...stageFlags('pretrain'),
    augment: {
      type: 'boolean',
      defaultDescription: String(PRETRAIN_DEFAULTS.augment),
      describe: 'Crop and mirror training pictures at random; only with --bn live',
    },
    weights: { type: 'string', demandOption: true, describe: "Pretrained weights, or 'none' for seeded noise" },
    graph: {
      type: 'string',
      defaultDescription: PRETRAIN_DEFAULTS.graph,
      describe: 'Network from npx ortune build-graph',
    },
    optimizer: settingFlag('pretrain', 'optimizer', PRETRAIN_DEFAULTS),
    'allow-missing': settingFlag('pretrain', 'allowMissing', {}),
    save: { choices: ['paddle'] as const, describe: 'Also writes one file per variable, as PaddlePaddle does' },
    verbose: { type: 'boolean', default: false, describe: 'Lists the names of weights' },
  },
  handle: async (args) => {
    const { weights, graph, optimizer, allowMissing, save, verbose, recipe } = args;
    const report = await reportOptions(args, args.data);
    return runStage({ ...report, verbose, loadedFrom: recipe === 'tutorial' ? weights : undefined }, async (hooks) => {
      const own = given({ graph, optimizer, allowMissing, savePaddle: save && true });
      await pretrain({ ...(await stageOptions(args, 'pretrain')), ...own, ...hooks, weights });
    });
  },
};
