import { openDataset } from '../data/index.ts';
import { writeReport } from '../report-html/index.ts';
import { FINETUNE_DEFAULTS } from '../training/options.ts';
import type { Command } from './run.ts';

interface Options {
  model: string;
  data: string | undefined;
  out: string | undefined;
}

export const reportCommand: Command<Options> = {
  usage:
    'npx ortune report --model DIR\n\nMakes a page of a result that opens in any browser, without a network: how it was trained, how good it is, what it ' +
    'mixes up, and the pictures that it is furthest off on.',
  flags: {
    model: { type: 'string', default: FINETUNE_DEFAULTS.out, describe: 'Folder that pretrain or finetune wrote' },
    data: { type: 'string', describe: 'Folder of the pictures, where it is no longer the one that was trained on' },
    out: { type: 'string', defaultDescription: 'report.html in the folder', describe: 'File of the page (HTML)' },
  },
  handle: async ({ model, data, out }) => {
    const dataset = data === undefined ? undefined : await openDataset(data);
    console.log(`Report: ${await writeReport(model, { dataset, out })}`);
  },
};
