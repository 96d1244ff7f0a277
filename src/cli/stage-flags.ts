import type { AugmentationOptions } from '../augment/index.ts';
import { OrtuneError } from '../errors.ts';
import type { StageName } from '../recipes/check-settings.ts';
import { loadRecipe, type Recipe } from '../recipes/index.ts';
import type { stageSchemas } from '../recipes/schema.ts';
import { parseBatchNorm } from '../training/batch-norm.ts';
import { FINETUNE_DEFAULTS, PRETRAIN_DEFAULTS } from '../training/options.ts';
import { checkOutputFile } from '../training/output-folder.ts';
import { sideOf } from '../training/test-size.ts';
import { AUGMENT_FLAGS, type AugmentArguments, augmentOptions } from './augment-flags.ts';
import { CUDA_FLAGS, type CudaArguments, cudaOptions } from './cuda-flags.ts';
import { settingFlag } from './setting-flag.ts';
import type { StageReportOptions } from './stage.ts';

/** What goes to standard output. */
export const OUTPUT_FLAGS = {
  quiet: { type: 'boolean', default: false, describe: 'Only errors' },
  json: { type: 'boolean', default: false, describe: 'Each event as a line of JSON' },
} as const;

/** How a run is told of. */
export const REPORT_FLAGS = {
  ...OUTPUT_FLAGS,
  tensorboard: { type: 'string', describe: 'Folder for files that TensorBoard reads' },
  dashboard: { type: 'number', describe: 'Port of a page on this machine that shows the run; 0 takes a free one' },
} as const;

export interface OutputArguments {
  quiet: boolean;
  json: boolean;
}

export interface ReportArguments extends OutputArguments {
  tensorboard: string | undefined;
  dashboard: number | undefined;
}

/** @throws OrtuneError `OPTION` when both are asked for */
export function outputOf({ quiet, json }: Partial<OutputArguments>): 'text' | 'json' | 'quiet' {
  if (quiet && json) throw new OrtuneError('OPTION', '--quiet, --json: expected one of them, received both.');
  return json ? 'json' : quiet ? 'quiet' : 'text';
}

/** @throws OrtuneError `OPTION` when they contradict each other, `OUTPUT` when they lead into the data */
export async function reportOptions(
  { tensorboard, dashboard, ...output }: Partial<ReportArguments>,
  data: string,
): Promise<StageReportOptions> {
  if (tensorboard !== undefined) await checkOutputFile('tensorboard', tensorboard, data);
  return { output: outputOf(output), tensorBoard: tensorboard, dashboard };
}

/** What a run is on, whatever it trains: the pictures, and the machine. */
export const RUN_FLAGS = {
  'on-bad-image': {
    choices: ['stop', 'skip'] as const,
    defaultDescription: PRETRAIN_DEFAULTS.onBadImage,
    describe: 'What to do about pictures that cannot be decoded',
  },
  'on-nan': settingFlag('finetune', 'onNan', FINETUNE_DEFAULTS),
  seed: {
    type: 'number',
    defaultDescription: String(PRETRAIN_DEFAULTS.seed),
    describe: 'Seed of order, crops and split',
  },
  device: {
    choices: ['auto', 'cpu', 'cuda'] as const,
    defaultDescription: PRETRAIN_DEFAULTS.device,
    describe: 'Where to train',
  },
  ...CUDA_FLAGS,
  threads: { type: 'number', describe: 'Threads of a step; all there are by default' },
  kernels: {
    choices: ['native', 'stock'] as const,
    defaultDescription: 'native on the CPU',
    describe: "Training's kernels: ortune's own on oneDNN, or ONNX Runtime's",
  },
  'memory-limit': settingFlag('finetune', 'memoryLimit', {}),
} as const;

export interface RunArguments extends CudaArguments {
  onBadImage: 'stop' | 'skip' | undefined;
  onNan: 'stop' | 'rollback' | undefined;
  seed: number | undefined;
  device: 'auto' | 'cpu' | 'cuda' | undefined;
  threads: number | undefined;
  kernels: 'native' | 'stock' | undefined;
  memoryLimit: string | undefined;
}

/**
 * The flags that both stages have. Their values are left open, and the stage's own defaults only told: what is not given is
 * a recipe's, or the library's default.
 */
export function stageFlags(stage: StageName) {
  const defaults = stage === 'pretrain' ? PRETRAIN_DEFAULTS : FINETUNE_DEFAULTS;
  // Both stages have these; their default for `testFlip` is no.
  const setting = (name: keyof typeof stageSchemas.pretrain.shape & keyof typeof stageSchemas.finetune.shape) =>
    settingFlag(stage, name, { ...defaults, testFlip: undefined });
  return {
    data: {
      type: 'string',
      demandOption: true,
      describe: "Folder of the pictures, CSV file, or Flowers-102's archive",
    },
    split: {
      type: 'string',
      describe:
        "tutorial, official, train+valid, ratio:0.8, ratio:0.7/0.15/0.15 (train/valid/test) or fold:1/5; the data set's own by default",
    },
    recipe: { type: 'string', describe: 'tutorial, recommended or a YAML file; flags go before what it says' },
    passes: setting('passes'),
    'batch-size': setting('batchSize'),
    lr: setting('learningRate'),
    schedule: {
      choices: ['constant', 'cosine', 'one-cycle'] as const,
      defaultDescription: defaults.schedule.kind,
      describe: 'How the learning rate moves over the run',
    },
    'warm-up': { type: 'number', describe: 'Share of the run in which the learning rate rises first' },
    bn: {
      type: 'string',
      array: true,
      defaultDescription: defaults.batchNorm,
      describe:
        "BatchNorm: live (the batch's own statistics), affine (running ones; scale and offset train) or frozen; by pattern: 'bn5*=live' '*=frozen'",
    },
    'label-smoothing': setting('labelSmoothing'),
    augment: {
      type: 'boolean',
      defaultDescription: String(defaults.augment),
      describe: 'Crop and mirror training pictures at random',
    },
    ...AUGMENT_FLAGS,
    'test-size': {
      type: 'string',
      describe: "Side of the test's square: pixels, or a share of the network's, as 125%; the network's by default",
    },
    'test-resize': { type: 'string', describe: 'Short side that it is cut from; 256/224 of it by default' },
    'test-flip': setting('testFlip'),
    test: {
      choices: ['each', 'end', 'never'] as const,
      defaultDescription: 'each',
      describe: 'When to test: after each pass, the result alone, or not at all',
    },
    watch: setting('watch'),
    keep: setting('keep'),
    'keep-top': setting('keepTop'),
    patience: { type: 'number', describe: 'Stop after so many passes in a row without a better test' },
    ...RUN_FLAGS,
    exact: {
      type: 'boolean',
      describe:
        "With native kernels: convolutions without Winograd's algorithm, which is faster and rounds a little more",
    },
    out: { type: 'string', defaultDescription: defaults.out, describe: 'Folder of the results' },
    resume: { type: 'boolean', describe: 'Go on with a run that was interrupted, given the same flags' },
    'record-every': {
      type: 'number',
      defaultDescription: '300',
      describe: 'Seconds from one record of how far the run has come to the next',
    },
    ...REPORT_FLAGS,
  } as const;
}

const TEST = { each: true, end: 'end', never: false } as const;

export interface StageArguments extends RunArguments, AugmentArguments, ReportArguments {
  data: string;
  split: string | undefined;
  recipe: string | undefined;
  passes: number | undefined;
  batchSize: number | undefined;
  lr: number | undefined;
  schedule: 'constant' | 'cosine' | 'one-cycle' | undefined;
  warmUp: number | undefined;
  bn: string[] | undefined;
  labelSmoothing: number | undefined;
  augment: boolean | undefined;
  testSize: string | undefined;
  testResize: string | undefined;
  testFlip: boolean | undefined;
  test: keyof typeof TEST | undefined;
  watch: 'test' | 'valid' | undefined;
  keep: 'last' | 'best' | undefined;
  keepTop: number | undefined;
  patience: number | undefined;
  exact: boolean | undefined;
  out: string | undefined;
  resume: boolean | undefined;
  recordEvery: number | undefined;
}

/** What a command has of some arguments. */
export type Asked<Arguments extends StageArguments> = Partial<Arguments> & Pick<StageArguments, 'data'>;

/** Without what is undefined: that would go before a default. */
export function given<Values extends object>(
  values: Values,
): { [Key in keyof Values]?: Exclude<Values[Key], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as never;
}

/** The flags as the library's options, over what the recipe says of a stage. @throws OrtuneError `RECIPE_*`, `OPTION` */
export async function stageOptions<Stage extends 'pretrain' | 'finetune'>(args: Asked<StageArguments>, stage: Stage) {
  const recipe: Recipe = args.recipe === undefined ? { name: '' } : await loadRecipe(args.recipe);
  const planned = (recipe[stage] ?? {}) as NonNullable<Recipe[Stage]>;
  const { patience, schedule: kind, warmUp } = args;
  const schedule = kind === undefined ? planned.schedule : { kind };
  const common = given({
    data: args.data,
    split: args.split ?? recipe.split,
    passes: args.passes,
    batchSize: args.batchSize,
    learningRate: args.lr,
    schedule: warmUp === undefined ? schedule : { ...(schedule ?? { kind: 'constant' }), warmUp },
    batchNorm: args.bn && parseBatchNorm(args.bn),
    labelSmoothing: args.labelSmoothing,
    augment: augmentOf(args, planned.augment),
    testSize: args.testSize === undefined ? undefined : sideOf(args.testSize),
    testResize: args.testResize === undefined ? undefined : sideOf(args.testResize),
    testFlip: args.testFlip,
    test: args.test && TEST[args.test],
    watch: args.watch,
    keep: args.keep,
    keepTop: args.keepTop,
    earlyStopping: patience === undefined ? undefined : { patience },
    onBadImage: args.onBadImage,
    onNan: args.onNan,
    seed: args.seed,
    device: args.device,
    out: args.out,
    threads: args.threads,
    kernels: args.kernels,
    exact: args.exact,
    memoryLimit: args.memoryLimit,
    resume: args.resume,
    recordEvery: args.recordEvery,
  });
  return { ...planned, ...common, data: args.data, ...cudaOptions(args) };
}

/** The flags' augmentation over a recipe's. */
function augmentOf(
  args: Partial<Pick<StageArguments, 'augment'> & AugmentArguments>,
  planned: boolean | AugmentationOptions | undefined,
): boolean | AugmentationOptions | undefined {
  const changes = augmentOptions(args);
  if (Object.keys(changes).length === 0) return args.augment ?? planned;
  if (args.augment === false) {
    throw new OrtuneError('OPTION', `--no-augment: expected alone, received ${Object.keys(changes).join(', ')} too.`);
  }
  return { ...(typeof planned === 'object' && planned), ...changes };
}
