import { checkData, type DataReport, formatReport } from '../check-data/index.ts';
import { OrtuneError } from '../errors.ts';
import type { Command } from './run.ts';
import { runStage } from './stage.ts';

interface Options {
  data: string;
  split: string | undefined;
  seed: number;
  verbose: boolean;
  json: boolean;
}

export const checkDataCommand: Command<Options> = {
  usage:
    'npx ortune check-data --data FOLDER\n\nLooks pictures through before they are trained on: classes and counts, sizes, broken, tiny ' +
    'and wrongly named files, duplicates and near-duplicates across parts and classes. Exits with 1 if training would stop.',
  flags: {
    data: {
      type: 'string',
      demandOption: true,
      describe: "Folder of the pictures, CSV file, or Flowers-102's archive",
    },
    split: { type: 'string', describe: "As for pretrain; the data set's own by default" },
    seed: { type: 'number', default: 0, describe: 'Seed of the split' },
    verbose: { type: 'boolean', default: false, describe: 'All classes and problems' },
    json: { type: 'boolean', default: false, describe: 'One JSON object' },
  },
  handle: async ({ data, split, seed, verbose, json }) => {
    let report: DataReport | undefined;
    try {
      await runStage({}, async ({ onEvent, signal }) => {
        report = await checkData(data, {
          seed,
          signal,
          ...(split !== undefined && { split }),
          onEvent: ({ task, done, total }) => {
            if (task === 'pictures') onEvent({ type: 'progress', task: 'check', done, total });
          },
        });
      });
    } catch (error) {
      if (!json || !(error instanceof OrtuneError)) throw error;
      // No data set, but still one form for the program that reads it.
      const { code, message } = error;
      console.log(JSON.stringify({ problems: [{ code, severity: 'error', path: data, related: [], message }] }));
      process.exitCode = 1;
      return;
    }
    console.log(json ? JSON.stringify(report) : formatReport(report!, verbose));
    if (report!.problems.some(({ severity }) => severity === 'error')) process.exitCode = 1;
  },
};
