import { type AugmentationOptions, checkAugmentation } from '../augment/index.ts';
import { OrtuneError } from '../errors.ts';
import { checkSettings, type StageName } from '../recipes/check-settings.ts';
import { type CudaOptions, findInvalidCuda } from '../runtime/index.ts';
import { type ScheduleOptions, schedule } from '../schedules/index.ts';
import { checkThreads } from '../threads.ts';
import type { BatchNormChoice } from './batch-norm.ts';
import type { DeviceChoice } from './device.ts';
import type { KeepOptions } from './keep.ts';
import type { PassSettings } from './passes.ts';
import type { PlanSettings } from './plan.ts';
import type { RunOptions } from './run.ts';
import { checkTestSizes, type Side, type TestSizes } from './test-size.ts';

/** What both stages take. */
export interface StageOptions extends Partial<PassSettings>, TestSizes, RunOptions, KeepOptions {
  /** Folder or CSV file of the data set. */
  readonly data: string;
  /** `tutorial`, `official` or `ratio:R`; the data set's own by default. */
  readonly split?: string;
  readonly batchSize?: number;
  readonly batchNorm?: BatchNormChoice;
  /** What is done to training pictures at random: crop and flip for `true`, nothing for `false`, or more. */
  readonly augment?: boolean | AugmentationOptions;
  /** A new random order in each pass; else that of the data set. */
  readonly shuffle?: boolean;
  readonly labelSmoothing?: number;
  /** Tests by the mean over a picture and its mirror image. */
  readonly testFlip?: boolean;
  /** Seed of the order, the crops and the split. */
  readonly seed?: number;
  readonly device?: DeviceChoice;
  /** Options of the GPU; an error with `device` `'cpu'`. */
  readonly cuda?: CudaOptions;
  /** Threads of a step; as many as the process may use by default. */
  readonly threads?: number;
  /**
   * Kernels of training on the CPU: the addon's own for convolutions, BatchNorms, pooling and updates, or ONNX Runtime's.
   * Left out: `native` where they can be.
   */
  readonly kernels?: 'native' | 'stock';
  /** With native kernels: convolutions by the definition, without Winograd's algorithm, which is faster and rounds a little more. */
  readonly exact?: boolean;
  /**
   * What the process may take on the CPU, such as `'4GiB'`, or `'none'`; the container's limit by default. Checked by an
   * estimate, before training starts.
   */
  readonly memoryLimit?: string;
  readonly onBadImage?: 'stop' | 'skip';
  /** Folder that the results go to; an older result there is replaced once the new one is complete. */
  readonly out?: string;
}

/** Stage one: a new head on pretrained weights. */
export interface PretrainOptions extends StageOptions {
  /** File or folder of pretrained weights, or `'none'` for the graph's own seeded values. */
  readonly weights: string;
  /** Network to train, as `npx ortune build-graph` writes it. */
  readonly graph?: string;
  /** Patterns of parameters that the weights may lack. */
  readonly allowMissing?: readonly string[];
  /** `lbfgs` solves for the best head on the features at hand; only where no BatchNorm is live. */
  readonly optimizer?: 'adam' | 'lbfgs';
  /** Also writes the parameters as the tutorial does, a file for each variable. */
  readonly savePaddle?: boolean;
}

/** Stage two: the whole network, or parts of it. */
export interface FinetuneOptions extends StageOptions, Partial<PlanSettings> {
  /** Folder that stage one wrote. */
  readonly from?: string;
}

const STAGE_DEFAULTS = {
  passes: 10,
  batchSize: 16,
  schedule: { kind: 'constant' },
  augment: true,
  shuffle: true,
  labelSmoothing: 0,
  test: true,
  watch: 'test',
  testFlip: false,
  testMean: 'pictures',
  keep: 'last',
  keepTop: 0,
  metric: 'top1',
  onNan: 'stop',
  seed: 0,
  device: 'auto',
  onBadImage: 'stop',
} as const;

export const PRETRAIN_DEFAULTS = {
  ...STAGE_DEFAULTS,
  graph: 'models/graph.onnx',
  learningRate: 1e-3,
  batchNorm: 'frozen',
  optimizer: 'adam',
  allowMissing: [],
  savePaddle: false,
  out: 'models/pretrain_model',
} as const;

export const FINETUNE_DEFAULTS = {
  ...STAGE_DEFAULTS,
  from: 'models/pretrain_model',
  train: ['*'],
  optimizer: 'adam',
  learningRate: 1e-4,
  weightDecay: 0,
  momentum: 0.9,
  nesterov: false,
  clipNorm: 0,
  accumulate: 1,
  classWeights: 'none',
  backboneRate: 1,
  layerDecay: 1,
  precision: 'fp32',
  batchNorm: 'live',
  out: 'models/infer_model',
} as const;

/** Checks the numbers that a user may set. @throws OrtuneError `OPTION` */
export function checkStageOptions(
  stage: StageName,
  options: {
    batchSize: number;
    batchNorm: BatchNormChoice;
    seed: number;
    device: DeviceChoice;
    cuda?: CudaOptions;
    threads?: number;
    schedule: ScheduleOptions;
    augment: boolean | AugmentationOptions;
    test: boolean | 'end';
    watch: 'test' | 'valid';
    keep: 'last' | 'best';
    keepTop: number;
    earlyStopping?: { readonly patience: number };
    testSize?: Side;
    testResize?: Side;
    memoryLimit?: string | undefined;
  },
): void {
  checkSettings(stage, options);
  const fail = (name: string, expected: string, received: unknown): never => {
    throw new OrtuneError('OPTION', `${name}: expected ${expected}, received ${String(received)}`);
  };
  const { batchNorm } = options;
  const live = typeof batchNorm === 'string' ? batchNorm === 'live' : Object.values(batchNorm).includes('live');
  if (live && options.batchSize === 1) {
    fail('batch-size', 'at least 2 with live BatchNorm, as one picture has no variance (or --bn frozen)', 1);
  }
  if (!Number.isSafeInteger(options.seed) || options.seed < 0) fail('seed', 'a whole number from 0 up', options.seed);
  checkCuda(options, fail);
  checkThreads(options.threads);
  schedule(options.schedule);
  if (typeof options.augment === 'object') checkAugmentation(options.augment);
  const { test, watch, keep, keepTop, earlyStopping } = options;
  if (test !== true && (keep === 'best' || keepTop > 0 || watch === 'valid' || earlyStopping)) {
    fail('test', 'a test after each pass, by which passes are compared', test === 'end' ? 'end' : 'never');
  }
  checkTestSizes(options);
}

/** The options by the names of their flags. */
const CUDA_FLAGS: Record<keyof CudaOptions, string> = {
  deviceId: 'cuda-device',
  memoryLimit: 'cuda-memory',
  convolutionSearch: 'cuda-search',
  tf32: 'tf32',
  maxWorkspace: 'cuda-workspace',
  providerOptions: 'providerOptions',
};

function checkCuda(
  { device, cuda = {} }: { device: DeviceChoice; cuda?: CudaOptions },
  fail: (name: string, expected: string, received: unknown) => never,
): void {
  const given = (Object.keys(CUDA_FLAGS) as (keyof CudaOptions)[]).filter((option) => cuda[option] !== undefined);
  if (device === 'cpu' && given.length > 0) {
    fail(given.map((option) => CUDA_FLAGS[option]).join(', '), 'a GPU to set it for: --device cuda or auto', device);
  }
  const invalid = findInvalidCuda(cuda);
  if (invalid) fail(CUDA_FLAGS[invalid.option], invalid.expected, invalid.received);
}
