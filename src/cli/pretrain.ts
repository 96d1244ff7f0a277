import { PRETRAIN_DEFAULTS } from '../training/options.ts';
import { pretrain } from '../training/pretrain.ts';
import type { Command } from './run.ts';
import { runStage } from './stage.ts';
import { type StageArguments, stageFlags, stageOptions } from './stage-flags.ts';

interface Options extends StageArguments {
  weights: string;
  graph: string;
  allowMissing: string[];
  save: 'paddle' | undefined;
  verbose: boolean;
}

export const pretrainCommand: Command<Options> = {
  usage: 'npm run pretrain -- --data DIR --weights PATH|none\n\nStage one: trains a new head on pretrained weights.',
  flags: {
    ...stageFlags(PRETRAIN_DEFAULTS),
    augment: {
      type: 'boolean',
      default: PRETRAIN_DEFAULTS.augment,
      describe: 'Crop and mirror training pictures at random; only with --bn live',
    },
    weights: { type: 'string', demandOption: true, describe: "Pretrained weights, or 'none' for seeded noise" },
    graph: { type: 'string', default: PRETRAIN_DEFAULTS.graph, describe: 'Network from npm run build-graph' },
    'allow-missing': {
      type: 'string',
      array: true,
      default: [],
      describe: "Parameters that the weights may lack, e.g. 'res5*'",
    },
    save: { choices: ['paddle'] as const, describe: 'Also writes one file per variable, as PaddlePaddle does' },
    verbose: { type: 'boolean', default: false, describe: 'Lists the names of weights' },
  },
  handle: (args) =>
    runStage(args.verbose, (hooks) =>
      pretrain({
        ...stageOptions(args),
        ...hooks,
        weights: args.weights,
        graph: args.graph,
        allowMissing: args.allowMissing,
        savePaddle: args.save === 'paddle',
      }),
    ),
};
