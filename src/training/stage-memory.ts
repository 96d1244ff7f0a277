import {
  ADAM_DEFAULTS,
  buildResNet,
  HEAD_PARAMETERS,
  headOnly,
  type Model,
  type ResNetOptions,
} from '../../onnx/index.ts';
import type { Dataset } from '../data/index.ts';
import { anyLive, batchNormModes } from './batch-norm.ts';
import type { MemoryCheck } from './check-memory.ts';
import type { Device } from './device.ts';
import type { Emit } from './events.ts';
import type { ChosenKernels } from './kernels.ts';
import { estimateMemory } from './memory-estimate.ts';
import type { FINETUNE_DEFAULTS, FinetuneOptions, PRETRAIN_DEFAULTS, PretrainOptions } from './options.ts';
import { mixes } from './picture-source.ts';
import { planOf } from './plan.ts';
import { testTransformOf } from './test-size.ts';

/** What a stage's memory depends on beside its settings. */
export interface StageSize {
  readonly network: ResNetOptions;
  readonly chosen: ChosenKernels;
  readonly device: Device['device'];
  /** Pictures of each part. */
  readonly pictures: Readonly<Record<'train' | 'valid' | 'test', number>>;
  readonly memoryLimit: string | undefined;
  readonly by: MemoryCheck['by'];
  readonly emit: Emit;
}

type Settings<Options, Defaults> = Omit<Options, keyof Defaults | 'data' | 'weights'> &
  Required<Pick<Options, keyof Defaults & keyof Options>>;
type HeadSettings = Settings<PretrainOptions, typeof PRETRAIN_DEFAULTS> & Pick<PretrainOptions, 'weights'>;
type WholeSettings = Settings<FinetuneOptions, typeof FINETUNE_DEFAULTS>;

export const picturesOf = ({ train, valid, test }: Dataset): StageSize['pictures'] => ({
  train: train.length,
  valid: valid.length,
  test: test.length,
});

/** Stage one's memory. @throws OrtuneError `BATCH_NORM` */
export function headMemory(settings: HeadSettings, size: StageSize): MemoryCheck {
  const modes = batchNormModes(shapesOf(size.network), settings.batchNorm);
  const live = anyLive(modes);
  const plan = headOnly((node) => modes.get(node) ?? 'frozen', ADAM_DEFAULTS);
  const { watch, testFlip } = settings;
  const { train, test } = size.pictures;
  const rows = train + test + (watch === 'test' ? 0 : size.pictures[watch]);
  return stageMemory(settings, size, {
    plan: () => plan,
    live,
    readsWeights: settings.weights !== 'none',
    accumulate: undefined,
    ...(!live && { features: (width) => rows * width * (testFlip ? 2 : 1) }),
  });
}

/** Stage two's memory. @throws OrtuneError as {@link planOf} */
export function wholeMemory(settings: WholeSettings, size: StageSize): MemoryCheck {
  // Weights of classes are no matter of memory.
  const context = { labels: [], softLabels: mixes(settings.augment), kernels: size.chosen.kernels };
  return stageMemory(settings, size, {
    plan: (model, accumulate) => planOf(model, { ...settings, classWeights: 'none', accumulate }, context),
    live: anyLive(batchNormModes(shapesOf(size.network), settings.batchNorm)),
    readsWeights: false,
    accumulate: settings.accumulate,
  });
}

interface StageParts {
  plan(model: Model, accumulate: number): ReturnType<typeof planOf>;
  readonly live: boolean;
  readonly readsWeights: boolean;
  /** Where a stage has it. */
  readonly accumulate: number | undefined;
  /** Numbers of the features, by their width; of a head that is trained on them. */
  features?(width: number): number;
}

function stageMemory(
  settings: HeadSettings | WholeSettings,
  { network, chosen, device, pictures, memoryLimit, by, emit }: StageSize,
  { plan, live, readsWeights, accumulate, features }: StageParts,
): MemoryCheck {
  const { train, valid, test } = pictures;
  const most = Math.max(train, valid, test);
  const { exact = false, keep, watch } = settings;
  return {
    device,
    memoryLimit,
    batchSize: settings.batchSize,
    accumulate: accumulate ?? 1,
    imageSize: network.imageSize,
    least: live ? 2 : 1,
    byBatch: features === undefined,
    accumulates: accumulate !== undefined,
    by,
    emit,
    estimate({ batchSize, accumulate, imageSize }) {
      const model = shapesOf({ ...network, imageSize });
      const side = testTransformOf(imageSize, settings).imageSize;
      const width = model.graph.initializers.get(HEAD_PARAMETERS[0])?.dims[0] ?? 0;
      return estimateMemory({
        model,
        evaluated: side === imageSize ? model : shapesOf({ ...network, imageSize: side }),
        plan: plan(model, accumulate),
        chosen,
        exact,
        batchSize: Math.min(batchSize, most),
        accumulate,
        readsWeights,
        features: features?.(width),
        keepsBest: keep === 'best',
        testsApart: settings.test === 'end' || (settings.test === true && watch === 'valid'),
      });
    },
  };
}

const NO_VALUES = new Float32Array();

/** A network without its values. */
const shapesOf = (network: ResNetOptions): Model => buildResNet(network, () => NO_VALUES);
