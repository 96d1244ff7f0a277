import { finetune } from '../training/finetune.ts';
import { FINETUNE_DEFAULTS } from '../training/options.ts';
import type { Command } from './run.ts';
import { runStage } from './stage.ts';
import { type StageArguments, stageFlags, stageOptions } from './stage-flags.ts';

interface Options extends StageArguments {
  from: string;
}

export const finetuneCommand: Command<Options> = {
  usage: 'npm run finetune -- --data DIR\n\nStage two: trains the whole network and writes the model to be served.',
  onClosedPipe: 'go on',
  flags: {
    ...stageFlags(FINETUNE_DEFAULTS),
    from: { type: 'string', default: FINETUNE_DEFAULTS.from, describe: 'Folder of stage one' },
  },
  handle: (args) => runStage(false, (hooks) => finetune({ ...stageOptions(args), ...hooks, from: args.from })),
};
