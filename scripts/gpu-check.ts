/** `npm run gpu-check`: whether training on this machine's GPU is right, how fast it is, and what of it runs where. */
import { dirname, resolve } from 'node:path';
import { type Command, run } from '../src/cli/run.ts';
import { OrtuneError } from '../src/errors.ts';
import { writeFiles } from '../src/write-files.ts';
import { type CheckOptions, runCheck } from './gpu/check.ts';
import { formatEnd, formatGroup, formatStart } from './gpu/report.ts';

interface Options {
  data: string | undefined;
  steps: number;
  imageSize: number;
  batchSize: number;
  width: number;
  device: 'cpu' | 'cuda';
  json: string | undefined;
}

const gpuCheckCommand: Command<Options> = {
  usage:
    'npm run gpu-check -- [flags]\n\nTrains ResNet50 for a few steps on the GPU, in fp32, TF32 and fp16, and on the CPU, and compares. ' +
    'Exits with 1 when a loss is off, when a heavy node ran on the CPU, or when there is no GPU.',
  flags: {
    data: { type: 'string', describe: 'Data set of real pictures; without it only synthetic ones are trained on' },
    steps: { type: 'number', default: 20, describe: 'Steps of each training' },
    'image-size': { type: 'number', default: 224, describe: 'Side of the pictures, a multiple of 32' },
    'batch-size': { type: 'number', default: 32, describe: 'Pictures of a step' },
    width: { type: 'number', default: 1, describe: "Factor on the network's channels" },
    device: {
      choices: ['cuda', 'cpu'] as const,
      default: 'cuda',
      describe: "cpu rehearses the check without a GPU, the CPU taking the GPU's place",
    },
    json: { type: 'string', describe: 'File to write everything to that was found' },
  },
  handle: async ({ data, json, _, ...given }) => {
    checkNumbers(given);
    const options: CheckOptions = { ...given, ...(data !== undefined && { data }) };
    const result = await runCheck(options, {
      onStart: (about) => console.log(formatStart(options, about)),
      onTrial: (pictures, name, seconds) => console.log(`... ${pictures}, ${name}: ${seconds.toFixed(1)} s`),
      onGroup: (group) => console.log(`\n${formatGroup(options, group)}\n`),
    });
    if (json !== undefined) {
      const file = resolve(json);
      await writeFiles(dirname(file), { [file]: Buffer.from(`${JSON.stringify(result, null, 1)}\n`) });
    }
    console.log(formatEnd(result));
    if (!result.ok) process.exitCode = 1;
  },
};

function checkNumbers({ steps, batchSize }: Pick<Options, 'steps' | 'batchSize'>): void {
  const check = (name: string, value: number, least: number) => {
    if (Number.isSafeInteger(value) && value >= least) return;
    throw new OrtuneError('OPTION', `--${name}: expected a whole number from ${least} up, received ${value}.`);
  };
  check('steps', steps, 1);
  // BatchNorm is live: a single picture has no variance.
  check('batch-size', batchSize, 2);
}

await run(gpuCheckCommand);
