import { OrtuneError } from '../errors.ts';
import { Classifier } from '../inference/index.ts';
import { listPictures } from '../inference/list-pictures.ts';
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
    const files = await listPictures(patterns);
    await using classifier = await Classifier.load(model, { threads });
    let failed = 0;
    for (const file of files) {
      if (unread.aborted) break;
      try {
        const predictions = await classifier.predict(file, { top });
        if (json) console.log(JSON.stringify({ file, predictions }));
        else
          console.log(
            `${file}: ${predictions.map(({ label, probability }) => `${label} ${percent(probability)}`).join(', ')}`,
          );
      } catch (error) {
        if (!(error instanceof OrtuneError) || error.code !== 'IMAGE_UNREADABLE') throw error;
        // One broken picture among many should not hide the answers for the others.
        failed++;
        if (json) console.log(JSON.stringify({ file, error: error.message }));
        else console.error(`Error: ${error.message}`);
      }
    }
    if (failed > 0) process.exitCode = 1;
  },
};

const percent = (probability: number) => `${(probability * 100).toFixed(1)} %`;
