import {
  ADAM_DEFAULTS,
  type GraphOptimizer,
  HEAD_PARAMETERS,
  type Kernels,
  type Model,
  type Optimizer,
  type Precision,
  parametersOf,
  type TrainingPlan,
  wholeNetwork,
} from '../../onnx/index.ts';
import { OrtuneError } from '../errors.ts';
import { globToRegExp } from '../glob.ts';
import { checkSettings } from '../recipes/check-settings.ts';
import type { AverageOptions } from '../schedules/index.ts';
import { type BatchNormChoice, batchNormModes } from './batch-norm.ts';

/** What a stage trains and how, as a user says it. */
export interface PlanSettings {
  /** Patterns of the parameters that are trained, `*` for any characters: `['fc_*', 'res5*', 'bn5*']`. */
  readonly train: readonly string[];
  readonly batchNorm: BatchNormChoice;
  readonly optimizer: 'adam' | 'adamw' | 'sgd';
  /** Of weights, never of BatchNorm or bias. */
  readonly weightDecay: number;
  /** Of SGD. */
  readonly momentum: number;
  readonly nesterov: boolean;
  /** Largest norm of the gradient; 0 for no bound. */
  readonly clipNorm: number;
  /** Batches of one update. */
  readonly accumulate: number;
  readonly labelSmoothing: number;
  /** `balanced`: a class counts the more in the loss the fewer pictures it has; or a weight for each class. */
  readonly classWeights: 'none' | 'balanced' | readonly number[];
  /** Factor on the learning rate of all but the head. */
  readonly backboneRate: number;
  /** Factor on the learning rate from each layer to the one before it: of the head, the residual blocks, the stem. */
  readonly layerDecay: number;
  /** `fp16`: convolutions in half precision, on CUDA only. `bf16`: bfloat16 maps, with native kernels on the CPU only. */
  readonly precision: Precision;
  /** Keeps running averages of the parameters, which are tested and become the result. */
  readonly ema?: AverageOptions | undefined;
}

/** What a plan depends on beside a user's settings. */
export interface PlanContext {
  /** Class numbers of the training pictures, for balanced class weights. */
  readonly labels: readonly number[];
  /** Whether labels are probabilities, as of mixed pictures. */
  readonly softLabels: boolean;
  /** Of updates. */
  readonly kernels: Kernels;
}

/**
 * The plan of a stage.
 *
 * @throws OrtuneError `TRAIN_PATTERN` when a pattern fits no parameter, `BATCH_NORM` as {@link batchNormModes}, `OPTION`
 *   when options contradict each other, `LOSS_OPTION` for class weights that do not fit the classes
 */
export function planOf(
  model: Model,
  settings: PlanSettings,
  { labels, softLabels, kernels }: PlanContext,
): TrainingPlan<Optimizer> {
  checkSettings('finetune', settings);
  const modes = batchNormModes(model, settings.batchNorm);
  const whole = wholeNetwork(model, (node) => modes.get(node) ?? 'frozen', chooseOptimizer(model, settings, kernels));
  const trainable = new Set(settings.train.flatMap((pattern) => select(whole.trainable, pattern)));
  const { labelSmoothing, precision } = settings;
  const classWeights = settings.classWeights === 'balanced' ? balancedWeights(labels) : settings.classWeights;
  const loss = { labelSmoothing, softLabels, ...(classWeights !== 'none' && { classWeights }) };
  return { ...whole, trainable, precision, loss };
}

/** Weights by which every class counts the same and a picture on average 1, as scikit-learn's `balanced`. */
function balancedWeights(labels: readonly number[]): number[] {
  const counts: number[] = [];
  for (const label of labels) counts[label] = (counts[label] ?? 0) + 1;
  return Array.from(counts, (count = 0) => labels.length / (counts.length * count));
}

function select(names: ReadonlySet<string>, pattern: string): string[] {
  const fits = globToRegExp(pattern);
  const selected = [...names].filter((name) => fits.test(name));
  if (selected.length > 0) return selected;
  const some = [...names].filter((_, index) => index % Math.ceil(names.size / 5) === 0).join(', ');
  throw new OrtuneError(
    'TRAIN_PATTERN',
    `--train ${pattern}: expected a pattern of the network's parameters, such as ${some}, but it fits none that can be trained.`,
  );
}

/** ONNX Runtime's optimizer where it can do what is asked and there is no operator of ortune's, which uses all threads. */
function chooseOptimizer(model: Model, settings: PlanSettings, kernels: Kernels): Optimizer {
  const { optimizer, weightDecay, momentum, nesterov, clipNorm, accumulate, backboneRate, layerDecay, ema } = settings;
  if (nesterov && !(optimizer === 'sgd' && momentum > 0)) {
    throw new OrtuneError('OPTION', '--nesterov: expected with --optimizer sgd and a --momentum above 0.');
  }
  if (optimizer === 'adam' && weightDecay > 0) {
    throw new OrtuneError('OPTION', '--weight-decay: expected with --optimizer adamw or sgd, received it with adam.');
  }
  const isPlain = clipNorm === 0 && accumulate === 1 && backboneRate === 1 && layerDecay === 1 && !ema;
  if (optimizer === 'adam' && isPlain && kernels === 'stock') return ADAM_DEFAULTS;
  const dims = (name: string) => model.graph.initializers.get(name)?.dims ?? [];
  return {
    algorithm: optimizer === 'sgd' ? { kind: 'sgd', momentum, nesterov } : { kind: 'adam', ...ADAM_DEFAULTS },
    weightDecay,
    decays: (name) => dims(name).length > 1,
    rate: rates(model, backboneRate, layerDecay),
    ...(clipNorm > 0 && { clipNorm }),
    ...(ema && { averages: true }),
  } satisfies GraphOptimizer;
}

/** Factor on the learning rate by parameter: the head's is 1. */
function rates(model: Model, backboneRate: number, layerDecay: number): (parameter: string) => number {
  const heads = new Set<string>(HEAD_PARAMETERS);
  // `res3b_branch2a_weights` and `bn3b_branch1_scale` are of block 3b; `conv1_weights` and `bn_conv1_scale` of the stem.
  const layerOf = (name: string) => /^(?:res|bn)(\d[a-z]\d*)_/.exec(name)?.[1] ?? 'stem';
  const backbone = parametersOf(model.graph).filter(({ name }) => !heads.has(name));
  const layers = [...new Set(backbone.map(({ name }) => layerOf(name)))];
  return (name) => {
    if (heads.has(name)) return 1;
    return backboneRate * layerDecay ** (layers.length - layers.indexOf(layerOf(name)));
  };
}
