import { dirname, resolve } from 'node:path';
import { type DataPart, evaluate, type ModelEvaluation } from '../inference/evaluate.ts';
import { formatEvaluation } from '../metrics/index.ts';
import { FINETUNE_DEFAULTS } from '../training/options.ts';
import { checkOutputFile } from '../training/output-folder.ts';
import { writeFiles } from '../write-files.ts';
import type { Command } from './run.ts';
import { runStage } from './stage.ts';
import { checkWhole } from './whole.ts';

interface Options {
  model: string;
  data: string;
  split: string | undefined;
  seed: number | undefined;
  part: DataPart;
  flip: boolean;
  batchSize: number;
  threads: number | undefined;
  out: string | undefined;
  json: boolean;
}

export const evaluateCommand: Command<Options> = {
  usage:
    'npx ortune evaluate --data DIR\n\nTells how well a model does on pictures whose classes are known: shares of right answers, ' +
    'calibration, the worst classes, the pairs most confused and the pictures that it is furthest off on.',
  flags: {
    model: {
      type: 'string',
      default: FINETUNE_DEFAULTS.out,
      describe: 'Folder (or .onnx file) of npx ortune finetune',
    },
    data: { type: 'string', demandOption: true, describe: 'Folder (or CSV file) of the pictures' },
    split: {
      type: 'string',
      describe: "As for pretrain; the model's own by default, where it was trained on this data",
    },
    seed: { type: 'number', describe: "Seed of the split; the model's by default" },
    part: { choices: ['test', 'valid', 'train'] as const, default: 'test', describe: 'Pictures to evaluate on' },
    flip: {
      type: 'boolean',
      default: false,
      describe: 'Mean of the probabilities of each picture and its mirror image',
    },
    'batch-size': { type: 'number', default: 32, describe: 'Pictures computed at a time' },
    threads: { type: 'number', describe: 'Threads of the model; all there are by default' },
    out: { type: 'string', describe: 'File for all figures as JSON, with the confusion matrix' },
    json: { type: 'boolean', default: false, describe: 'All figures as one JSON object, in place of the table' },
  },
  handle: async ({ split, seed, batchSize, threads, out, json, ...rest }) => {
    checkWhole({ 'batch-size': batchSize, threads }, 1);
    checkWhole({ seed }, 0);
    if (out !== undefined) await checkOutputFile('out', out, rest.data);
    let result: ModelEvaluation | undefined;
    await runStage({}, async ({ onEvent, signal }) => {
      result = await evaluate({
        ...rest,
        batchSize,
        signal,
        ...(split !== undefined && { split }),
        ...(seed !== undefined && { seed }),
        ...(threads !== undefined && { threads }),
        onProgress: (done, total) => onEvent({ type: 'progress', task: 'test', done, total }),
      });
    });
    const { data, ...figures } = result!;
    const text = `${JSON.stringify(result)}\n`;
    if (out !== undefined) await writeFiles(dirname(resolve(out)), { [resolve(out)]: Buffer.from(text) });
    if (json) {
      process.stdout.write(text);
      return;
    }
    console.log(`Data: ${data.root}, split ${data.split}, ${data.part} part${data.flip ? ', with mirror images' : ''}`);
    console.log(formatEvaluation(figures));
    if (out !== undefined) console.log(`\nSaved: ${out}`);
  },
};
