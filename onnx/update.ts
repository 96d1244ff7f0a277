import { allTrue, Branch } from './branch.ts';
import { type GraphBuilder, int, tensor } from './graph.ts';
import { bytesOf, type Initializer } from './model.ts';
import { averageOf, STEP_STATE, stateOf } from './names.ts';
import { adamUpdate, type CorrectedAdam, type Kernels, type Movement, sgdUpdate } from './native-update.ts';

/** Adam; with weight decay, AdamW (Loshchilov and Hutter, ICLR 2019). */
export interface AdamAlgorithm {
  readonly kind: 'adam';
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
}

/** Stochastic gradient descent with PyTorch's momentum: v = momentum * v + g, p -= rate * v. */
export interface SgdAlgorithm {
  readonly kind: 'sgd';
  /** 0 for none. */
  readonly momentum: number;
  /** Steps by g + momentum * v instead of v. */
  readonly nesterov: boolean;
}

/**
 * An update of the parameters that is part of the training graph. ONNX Runtime's own optimizer operators have one rate
 * for all parameters, decay all of them, and know no momentum; this is what they cannot do.
 */
export interface GraphOptimizer {
  readonly algorithm: AdamAlgorithm | SgdAlgorithm;
  /** Decoupled from the gradient for Adam, added to it for SGD, as in PyTorch's AdamW and SGD. */
  readonly weightDecay: number;
  /** Whether a parameter decays. */
  readonly decays: (parameter: string) => boolean;
  /** Factor on the learning rate for a parameter. */
  readonly rate: (parameter: string) => number;
  /** Largest norm of all gradients together; larger ones are scaled down to it. */
  readonly clipNorm?: number;
  /** Keeps a running average of each parameter, which the eval model then evaluates (Polyak and Juditsky, 1992). */
  readonly averages?: boolean;
}

/** Inputs of a training model with such an update. */
export const UPDATE_INPUTS = {
  /**
   * float32 []: weight of this batch's loss in the gradient: 1 for a batch on its own, its share of the pictures where
   * several batches make one update.
   */
  lossWeight: 'loss_weight',
  /** bool [1]: whether this step, the last of its update, moves the parameters. */
  update: 'update',
  /** float32 [1] */
  learningRate: 'learning_rate',
  /** float32 [1]: share of the new values in the running averages; only where there are some. */
  averageShare: 'average_share',
} as const;

const slots = (algorithm: GraphOptimizer['algorithm']) => {
  if (algorithm.kind === 'adam') return ['first_moment', 'second_moment'] as const;
  return algorithm.momentum > 0 ? (['momentum'] as const) : [];
};

/**
 * What the optimizer remembers, frozen parameters of the checkpoint that the update moves in place: zeros at first, and
 * running averages of what the parameters are.
 */
export function optimizerState(
  trainable: readonly Initializer[],
  { algorithm, averages }: GraphOptimizer,
): Initializer[] {
  const zeros = (name: string, dims: readonly number[]): Initializer => {
    const size = dims.reduce((product, length) => product * length, 1);
    return { name, type: 'float32', dims, data: bytesOf(new Float32Array(size)) };
  };
  const state = trainable.flatMap(({ name, dims }) => slots(algorithm).map((slot) => zeros(stateOf(name, slot), dims)));
  if (algorithm.kind === 'adam') state.unshift(zeros(STEP_STATE, [1]));
  return averages ? [...state, ...trainable.map((one) => ({ ...one, name: averageOf(one.name) }))] : state;
}

/**
 * Adds the update to a training graph, as the branch of an If on {@link UPDATE_INPUTS}`.update`. In it new values are
 * computed from old ones and then put in their place by InPlaceAccumulatorV2, which writes to its first input; native
 * kernels do all that to a parameter and its state at once.
 *
 * @param buffers accumulated gradients, by parameter
 * @param required flags, bool [1], without any of which nothing is moved. Those of the accumulators must be among them: the
 *   If waits for them, as nothing may still read what it changes, and every backward node leads to an accumulator.
 * @returns a flag, bool [1]: whether the parameters were moved
 */
export function addUpdate(
  graph: GraphBuilder,
  trainable: readonly Initializer[],
  buffers: ReadonlyMap<string, string>,
  required: readonly string[],
  optimizer: GraphOptimizer,
  kernels: Kernels = 'stock',
): string {
  const go = addCondition(graph, required);
  const branch = new Branch(graph, 'apply_update');
  const clip = addClipping(branch, [...buffers.values()], optimizer.clipNorm);
  const algorithm = optimizer.algorithm.kind === 'adam' ? corrected(branch, optimizer.algorithm) : optimizer.algorithm;
  for (const { name } of trainable) {
    const movement: Movement = {
      name,
      buffer: buffers.get(name) as string,
      clip,
      rate: branch.scaled(UPDATE_INPUTS.learningRate, optimizer.rate(name)),
      decay: optimizer.decays(name) ? optimizer.weightDecay : 0,
      averageShare: optimizer.averages ? UPDATE_INPUTS.averageShare : undefined,
    };
    if (kernels === 'stock') move(branch, movement, algorithm);
    else if (algorithm.kind === 'adam') adamUpdate(branch, movement, algorithm);
    else sgdUpdate(branch, movement, algorithm);
  }
  const still = new Branch(graph, 'no_update');
  const never = graph.constant('never', Uint8Array.of(0));
  still.builder.output(still.compute('Identity', [never], 'not_updated', never));
  return graph.add('If', [go], tensor('updated', 'bool', 1), {
    attributes: {
      then_branch: { kind: 'graph', value: branch.finish() },
      else_branch: { kind: 'graph', value: still.builder.build() },
    },
  });
}

/** `update`, once all that it requires is there; a scalar. */
function addCondition(graph: GraphBuilder, required: readonly string[]): string {
  const all = allTrue(graph, required, 'required');
  const both = graph.add('And', [all, UPDATE_INPUTS.update], tensor('update_now', 'bool', 1));
  const shape = graph.constant('shape_scalar', new BigInt64Array());
  return graph.add('Reshape', [both, shape], tensor('update_condition', 'bool'));
}

/** Factor min(1, clipNorm / (norm + 1e-6)) for all gradients, PyTorch's; a scalar. */
function addClipping(branch: Branch, gradients: readonly string[], clipNorm: number | undefined): string | undefined {
  if (clipNorm === undefined) return undefined;
  const squares = gradients.map((gradient) =>
    branch.scalar('ReduceSumSquare', [gradient], `${gradient}.square`, { keepdims: int(0) }),
  );
  const norm = branch.scalar('Sqrt', [branch.scalar('Sum', squares, 'gradient_square')], 'gradient_norm');
  const guarded = branch.scalar('Add', [norm, branch.number(1e-6)], 'gradient_norm_guarded');
  const ratio = branch.scalar('Div', [branch.number(clipNorm), guarded], 'clip_ratio');
  return branch.scalar('Min', [ratio, branch.number(1)], 'clip_factor');
}

/** Adam's corrections for its moments' start at zero, in double precision: 1 - 0.999 loses half its digits in float32. */
function corrected(branch: Branch, algorithm: AdamAlgorithm): CorrectedAdam {
  const { beta1, beta2 } = algorithm;
  const step = branch.compute('Add', [STEP_STATE, branch.number(1)], 'step_now', STEP_STATE);
  branch.store(STEP_STATE, step);
  const exponent = branch.cast(step, 'float64', 'step_exponent');
  const correction = (beta: number, name: string) => {
    const power = branch.compute('Pow', [branch.number(beta, 'float64'), exponent], `${name}_power`, exponent);
    return branch.compute('Sub', [branch.number(1, 'float64'), power], name, exponent);
  };
  const root = branch.compute('Sqrt', [correction(beta2, 'second_correction')], 'second_correction_root', exponent);
  return {
    ...algorithm,
    firstCorrection: branch.cast(correction(beta1, 'first_correction'), 'float32', 'first_correction_32'),
    secondRoot: branch.cast(root, 'float32', 'second_root_32'),
  };
}

/** Moves a parameter and its state by ONNX Runtime's operators. */
function move(branch: Branch, movement: Movement, algorithm: CorrectedAdam | SgdAlgorithm): void {
  const { name, buffer, clip, rate, decay, averageShare } = movement;
  const gradient = clip ? branch.compute('Mul', [buffer, clip], `${name}.clipped`, name) : buffer;
  const moved =
    algorithm.kind === 'adam'
      ? adam(branch, name, gradient, rate, decay, algorithm)
      : sgd(branch, name, gradient, rate, decay, algorithm);
  branch.store(name, moved);
  if (averageShare) average(branch, name, moved, averageShare);
}

/** Moves a parameter's average by a share of the way to its new value. */
function average(branch: Branch, name: string, moved: string, share: string): void {
  const compute = (op: string, inputs: string[], part: string) => branch.compute(op, inputs, `${name}.${part}`, name);
  const way = compute('Sub', [moved, averageOf(name)], 'average_way');
  const step = compute('Mul', [way, share], 'average_step');
  branch.store(averageOf(name), compute('Add', [averageOf(name), step], 'average_now'));
}

/** @returns the parameter's new value */
function adam(
  branch: Branch,
  name: string,
  gradient: string,
  rate: string,
  decay: number,
  { beta1, beta2, epsilon, firstCorrection, secondRoot }: CorrectedAdam,
): string {
  const [first, second] = [stateOf(name, 'first_moment'), stateOf(name, 'second_moment')];
  const compute = (op: string, inputs: string[], part: string) => branch.compute(op, inputs, `${name}.${part}`, name);

  const change = compute('Sub', [gradient, first], 'first_change');
  const firstNow = compute(
    'Add',
    [first, compute('Mul', [change, branch.number(1 - beta1)], 'first_step')],
    'first_now',
  );
  const square = compute(
    'Mul',
    [compute('Mul', [gradient, gradient], 'square'), branch.number(1 - beta2)],
    'square_part',
  );
  const secondNow = compute(
    'Add',
    [compute('Mul', [second, branch.number(beta2)], 'second_kept'), square],
    'second_now',
  );

  const deviation = compute('Div', [compute('Sqrt', [secondNow], 'root'), secondRoot], 'deviation');
  const denominator = compute('Add', [deviation, branch.number(epsilon)], 'denominator');
  const corrected = branch.corrected(rate, firstCorrection);
  const step = compute('Mul', [compute('Div', [firstNow, denominator], 'direction'), corrected], 'step');
  const kept = decay > 0 ? compute('Mul', [name, branch.keeping(rate, decay)], 'decayed') : name;
  branch.store(first, firstNow);
  branch.store(second, secondNow);
  return compute('Sub', [kept, step], 'now');
}

/** @returns the parameter's new value */
function sgd(
  branch: Branch,
  name: string,
  gradient: string,
  rate: string,
  decay: number,
  { momentum, nesterov }: SgdAlgorithm,
): string {
  const compute = (op: string, inputs: string[], part: string) => branch.compute(op, inputs, `${name}.${part}`, name);
  const shrink = () => compute('Mul', [name, branch.number(decay)], 'decay');
  const slope = decay > 0 ? compute('Add', [gradient, shrink()], 'slope') : gradient;
  let direction = slope;
  if (momentum > 0) {
    const velocity = stateOf(name, 'momentum');
    const kept = compute('Mul', [velocity, branch.number(momentum)], 'velocity_kept');
    const velocityNow = compute('Add', [kept, slope], 'velocity_now');
    branch.store(velocity, velocityNow);
    const ahead = () => compute('Mul', [velocityNow, branch.number(momentum)], 'velocity_ahead');
    direction = nesterov ? compute('Add', [slope, ahead()], 'direction') : velocityNow;
  }
  return compute('Sub', [name, compute('Mul', [direction, rate], 'step')], 'now');
}
