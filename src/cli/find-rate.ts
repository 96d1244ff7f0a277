import { dirname, resolve } from 'node:path';
import { RATE_FINDER_DEFAULTS } from '../schedules/index.ts';
import { findRate } from '../training/find-rate.ts';
import { checkOutputFile } from '../training/output-folder.ts';
import { writeFiles } from '../write-files.ts';
import { FINETUNE_FLAGS, type FinetuneArguments, finetuneOptions } from './finetune.ts';
import type { Command } from './run.ts';
import { runStage } from './stage.ts';
import { given } from './stage-flags.ts';

/** Flags of stage two that say how passes, tests and results go: there are none here. */
const UNUSED = [
  ...(['passes', 'lr', 'schedule', 'warm-up', 'accumulate', 'out', 'keep', 'keep-top', 'patience', 'ema'] as const),
  ...([
    'test',
    'watch',
    'test-size',
    'test-resize',
    'test-flip',
    'quiet',
    'json',
    'tensorboard',
    'dashboard',
    'resume',
    'record-every',
    'on-nan',
  ] as const),
] satisfies (keyof typeof FINETUNE_FLAGS)[];
type Flags = Omit<typeof FINETUNE_FLAGS, (typeof UNUSED)[number]>;
const isUsed = (name: string) => !UNUSED.some((unused) => unused === name);
const flags = Object.fromEntries(Object.entries(FINETUNE_FLAGS).filter(([name]) => isUsed(name))) as Flags;

type UnusedArgument =
  | 'recordEvery'
  | 'keepTop'
  | 'onNan'
  | 'warmUp'
  | 'testSize'
  | 'testResize'
  | 'testFlip'
  | (typeof UNUSED)[number];

interface Options extends Omit<FinetuneArguments, UnusedArgument> {
  plot: string;
  steps: number | undefined;
}

export const findRateCommand: Command<Options> = {
  usage:
    'npx ortune find-rate --data DIR\n\nTrains stage two at a rate that grows until the loss diverges, and suggests one. Keeps nothing but the plot.',
  flags: {
    ...flags,
    plot: { type: 'string', default: 'models/find-rate.svg', describe: 'File of the plot (SVG)' },
    steps: {
      type: 'number',
      defaultDescription: String(RATE_FINDER_DEFAULTS.steps),
      describe: 'Training steps, each at a higher rate than the one before',
    },
  },
  handle: (args) =>
    runStage({}, async (hooks) => {
      const { steps, plot: file, data } = args;
      await checkOutputFile('plot', file, data);
      const { suggestion, plot } = await findRate({ ...(await finetuneOptions(args)), ...given({ steps }), ...hooks });
      await writeFiles(dirname(resolve(file)), { [resolve(file)]: new TextEncoder().encode(plot) });
      console.log(`Steepest fall of the loss: --lr ${suggestion.steepest.toPrecision(2)}`);
      console.log(`A tenth of where it is lowest: --lr ${suggestion.minimumTenth.toPrecision(2)}`);
      console.log(`Plot: ${file}`);
    }),
};
