import { EXPORT_DEFAULTS, EXPORT_PRECISIONS, exportModel } from '../export/index.ts';
import { FINETUNE_DEFAULTS } from '../training/options.ts';
import type { Command } from './run.ts';
import { runStage } from './stage.ts';
import { OUTPUT_FLAGS, type OutputArguments, outputOf } from './stage-flags.ts';
import { checkWhole } from './whole.ts';

interface Options extends OutputArguments {
  model: string;
  precision: (typeof EXPORT_PRECISIONS)[number];
  data: string | undefined;
  split: string | undefined;
  seed: number | undefined;
  pictures: number;
  batchSize: number;
  threads: number | undefined;
  out: string | undefined;
}

export const exportCommand: Command<Options> = {
  usage:
    'npx ortune export --precision fp16|int8\n\nWrites a fine-tuned model in a smaller form, for any ONNX Runtime, and tells what that costs on the test part.',
  flags: {
    model: {
      type: 'string',
      default: FINETUNE_DEFAULTS.out,
      describe: 'Folder (or .onnx file) of npx ortune finetune',
    },
    precision: {
      choices: EXPORT_PRECISIONS,
      demandOption: true,
      describe:
        'fp16: half the file, arithmetic as before. int8: a quarter of the file, faster, a little less accurate',
    },
    data: { type: 'string', describe: 'Folder (or CSV file) of the pictures; those it was trained on by default' },
    split: { type: 'string', describe: "As for pretrain; the model's own by default" },
    seed: { type: 'number', describe: "Seed of the split; the model's by default" },
    pictures: {
      type: 'number',
      default: EXPORT_DEFAULTS.pictures,
      describe: 'Training pictures that int8 takes the ranges of its numbers from',
    },
    'batch-size': { type: 'number', default: EXPORT_DEFAULTS.batchSize, describe: 'Pictures tested at a time' },
    threads: { type: 'number', describe: 'Threads of the model; all there are by default' },
    out: { type: 'string', defaultDescription: 'model.int8.onnx beside the model', describe: 'File to write' },
    ...OUTPUT_FLAGS,
  },
  handle: async ({ quiet, json, ...rest }) => {
    const { pictures, batchSize, threads, seed } = rest;
    checkWhole({ pictures, 'batch-size': batchSize, threads }, 1);
    checkWhole({ seed }, 0);
    await runStage({ output: outputOf({ quiet, json }) }, (hooks) => exportModel({ ...rest, ...hooks }));
  },
};
