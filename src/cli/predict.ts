import { predict } from '../inference/index.ts';
import { FINETUNE_DEFAULTS } from '../training/options.ts';
import type { Command } from './run.ts';
import { checkWhole } from './whole.ts';

interface Options {
  model: string;
  top: number;
  json: boolean;
  threads: number | undefined;
}

export const predictCommand: Command<Options> = {
  usage: 'npx ortune predict FILES|FOLDERS|GLOBS\n\nTells what is on pictures.',
  positionals: 'some',
  flags: {
    model: {
      type: 'string',
      default: FINETUNE_DEFAULTS.out,
      describe: 'Folder (or .onnx file) of npx ortune finetune',
    },
    top: { type: 'number', default: 5, describe: 'Classes to name for each picture' },
    json: { type: 'boolean', default: false, describe: 'One JSON object a line' },
    threads: { type: 'number', describe: 'Threads of the model; all there are by default' },
  },
  handle: async ({ _: patterns, model, top, json, threads }, unread) => {
    checkWhole({ top, threads }, 1);
    let failed = 0;
    for await (const told of predict(patterns, { model, top, threads })) {
      if ('error' in told) {
        failed++;
        if (json) console.log(JSON.stringify({ file: told.file, error: told.error.message }));
        else console.error(`Error: ${told.error.message}`);
      } else if (json) {
        console.log(JSON.stringify(told));
      } else {
        const words = told.predictions.map(({ label, probability }) => `${label} ${percent(probability)}`);
        console.log(`${told.file}: ${words.join(', ')}`);
      }
      if (unread.aborted) break;
    }
    if (failed > 0) process.exitCode = 1;
  },
};

const percent = (probability: number) => `${(probability * 100).toFixed(1)} %`;
