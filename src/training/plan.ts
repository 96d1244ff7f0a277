import {
  ADAM_DEFAULTS,
  type BatchNormMode,
  type GraphOptimizer,
  HEAD_PARAMETERS,
  type Model,
  type Optimizer,
  type TrainingPlan,
  wholeNetwork,
} from '../../onnx/index.ts';
import { OrtuneError } from '../errors.ts';
import { globToRegExp } from '../weights/mapping.ts';

/** What a stage trains and how, as a user says it. */
export interface PlanSettings {
  /** Patterns of the parameters that are trained, `*` for any characters: `['fc_*', 'res5*', 'bn5*']`. */
  readonly train: readonly string[];
  readonly batchNorm: BatchNormMode;
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
  /** Factor on the learning rate of all but the head. */
  readonly backboneRate: number;
}

/**
 * The plan of a stage.
 *
 * @throws OrtuneError `TRAIN_PATTERN` when a pattern fits no parameter, `OPTION` when options contradict each other
 */
export function planOf(model: Model, settings: PlanSettings): TrainingPlan<Optimizer> {
  check(settings);
  const whole = wholeNetwork(model, settings.batchNorm, chooseOptimizer(model, settings));
  const trainable = new Set(settings.train.flatMap((pattern) => select(whole.trainable, pattern)));
  return { ...whole, trainable, loss: { labelSmoothing: settings.labelSmoothing } };
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

/** ONNX Runtime's optimizer where it can do what is asked, as its one kernel is the fastest; else the graph's own. */
function chooseOptimizer(model: Model, settings: PlanSettings): Optimizer {
  const { optimizer, weightDecay, momentum, nesterov, clipNorm, accumulate, backboneRate } = settings;
  if (optimizer === 'adam' && weightDecay > 0) {
    throw new OrtuneError('OPTION', '--weight-decay: expected with --optimizer adamw or sgd, received it with adam.');
  }
  if (optimizer === 'adam' && clipNorm === 0 && accumulate === 1 && backboneRate === 1) return ADAM_DEFAULTS;
  const heads = new Set<string>(HEAD_PARAMETERS);
  const dims = (name: string) => model.graph.initializers.get(name)?.dims ?? [];
  return {
    algorithm: optimizer === 'sgd' ? { kind: 'sgd', momentum, nesterov } : { kind: 'adam', ...ADAM_DEFAULTS },
    weightDecay,
    decays: (name) => dims(name).length > 1,
    rate: (name) => (heads.has(name) ? 1 : backboneRate),
    ...(clipNorm > 0 && { clipNorm }),
  } satisfies GraphOptimizer;
}

function check(settings: PlanSettings): void {
  const fail = (option: string, expected: string, received: number): never => {
    throw new OrtuneError('OPTION', `${option}: expected ${expected}, received ${received}`);
  };
  const within = (option: string, value: number, below: number, expected: string) => {
    if (!(value >= 0 && value < below)) fail(option, expected, value);
  };
  within('weight-decay', settings.weightDecay, Number.POSITIVE_INFINITY, 'a number from 0 up');
  within('momentum', settings.momentum, 1, 'a number from 0 to below 1');
  within('clip-norm', settings.clipNorm, Number.POSITIVE_INFINITY, 'a number from 0 up');
  within('label-smoothing', settings.labelSmoothing, 1, 'a number from 0 to below 1');
  within('backbone-rate', settings.backboneRate, Number.POSITIVE_INFINITY, 'a number from 0 up');
  if (!Number.isSafeInteger(settings.accumulate) || settings.accumulate < 1) {
    fail('accumulate', 'a whole number from 1 up', settings.accumulate);
  }
}
