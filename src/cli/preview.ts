import { dirname, extname, resolve } from 'node:path';
import { checkAugmentation } from '../augment/index.ts';
import { drawPreview } from '../augment/preview.ts';
import { openDataset } from '../data/index.ts';
import { OrtuneError } from '../errors.ts';
import { Random } from '../random.ts';
import { liesWithin } from '../training/output-folder.ts';
import { writeFiles } from '../write-files.ts';
import { AUGMENT_FLAGS, type AugmentArguments, augmentOptions } from './augment-flags.ts';
import type { Command } from './run.ts';

interface Options extends AugmentArguments {
  data: string;
  split: string | undefined;
  out: string;
  pictures: number;
  passes: number;
  imageSize: number;
  seed: number;
}

export const previewCommand: Command<Options> = {
  usage:
    'npx ortune preview --data DIR --out FILE.png\n\nDraws some training pictures as they are tested (left) and as they are trained on in the first passes.',
  flags: {
    data: { type: 'string', demandOption: true, describe: 'Folder (or CSV file) of the pictures' },
    split: { type: 'string', describe: "as for pretrain; the data set's own by default" },
    out: { type: 'string', demandOption: true, describe: 'PNG file to write' },
    pictures: { type: 'number', default: 6, describe: 'Rows; with mixup or CutMix they are one batch' },
    passes: { type: 'number', default: 6, describe: 'Columns beside the first' },
    'image-size': { type: 'number', default: 128, describe: "Side of the network's square, in pixels" },
    seed: { type: 'number', default: 0, describe: 'Seed of the run that is shown, and of the choice of pictures' },
    ...AUGMENT_FLAGS,
  },
  handle: async (options) => {
    const { data, split, out, pictures, passes, imageSize, seed } = options;
    for (const [name, value, most] of [
      ['pictures', pictures, 100],
      ['passes', passes, 100],
      ['image-size', imageSize, 1024],
    ] as const) {
      if (Number.isInteger(value) && value >= 1 && value <= most) continue;
      throw new OrtuneError('OPTION', `--${name}: expected a whole number from 1 to ${most}, received ${value}.`);
    }
    const augmentation = checkAugmentation(augmentOptions(options));
    const { train, classes, root } = await openDataset(data, { seed, ...(split !== undefined && { split }) });
    await checkSheet(out, root);
    const chosen = [...new Random(seed, 'preview').permutation(train.length).subarray(0, pictures)];
    const sheet = await drawPreview({ train, classes }, { augmentation, chosen, passes, imageSize, seed });
    await writeFiles(dirname(resolve(out)), { [out]: sheet });
    for (const index of chosen) console.log(`${classes[train[index]!.label]}: ${train[index]!.file}`);
    console.log(`Wrote ${out}.`);
  },
};

/** A sheet among the pictures would be one of them in the next run. */
async function checkSheet(out: string, root: string): Promise<void> {
  if (extname(out).toLowerCase() === '.png' && !(await liesWithin(out, root))) return;
  throw new OrtuneError('OUTPUT', `--out ${out}: expected a .png file outside ${root}.`);
}
