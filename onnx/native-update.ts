import type { Branch } from './branch.ts';
import { float, int } from './graph.ts';
import { averageOf, type Slot, stateOf } from './names.ts';

/** Whose operators a training graph is made of: ONNX Runtime's alone, or on the CPU those of ortune's addon, too. */
export type Kernels = 'stock' | 'native';

/** Domain of the addon's operators (native/src/operators). */
export const ORTUNE = 'ortune';

/**
 * The operators, each with those of its inputs that are the parameter's state. These change in place, as does input 0, the
 * parameter; input 1 is its gradient.
 */
export const NATIVE_STATE: Readonly<Record<string, readonly (readonly [input: number, slot: Slot])[]>> = {
  AdamUpdate: [
    [2, 'first_moment'],
    [3, 'second_moment'],
    [8, 'average'],
  ],
  SgdUpdate: [
    [3, 'momentum'],
    [5, 'average'],
  ],
};

/** How a parameter is moved; names of tensors, but for the decay. */
export interface Movement {
  /** The parameter. */
  readonly name: string;
  /** Its accumulated gradient. */
  readonly buffer: string;
  /** Factor on the gradient, a scalar. */
  readonly clip: string | undefined;
  /** Its own learning rate, [1]. */
  readonly rate: string;
  /** 0 for none. */
  readonly decay: number;
  /** Share of the new value in its running average, [1], where it has one. */
  readonly averageShare: string | undefined;
}

/** Adam's numbers, with the tensors of its corrections, [1]. */
export interface CorrectedAdam {
  readonly kind: 'adam';
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly firstCorrection: string;
  /** Root of the second moment's. */
  readonly secondRoot: string;
}

/** Moves a parameter and its moments as the nodes of update.ts do, bit for bit. */
export function adamUpdate(
  branch: Branch,
  { name, buffer, clip = '', rate, decay, averageShare }: Movement,
  { beta1, beta2, epsilon, firstCorrection, secondRoot }: CorrectedAdam,
): void {
  const moments = [stateOf(name, 'first_moment'), stateOf(name, 'second_moment')];
  const corrected = branch.corrected(rate, firstCorrection);
  const kept = decay > 0 ? branch.keeping(rate, decay) : '';
  const inputs = [name, buffer, ...moments, corrected, secondRoot, kept, clip, ...averageInputs(name, averageShare)];
  branch.change(name, 'AdamUpdate', inputs, {
    domain: ORTUNE,
    attributes: {
      // Not beta1 and beta2: 1 - beta is another number where beta has been rounded to float32 before.
      first_share: float(1 - beta1),
      second_kept: float(beta2),
      second_share: float(1 - beta2),
      epsilon: float(epsilon),
    },
  });
}

/** Moves a parameter and its momentum as the nodes of update.ts do, bit for bit. */
export function sgdUpdate(
  branch: Branch,
  { name, buffer, clip = '', rate, decay, averageShare }: Movement,
  { momentum, nesterov }: { readonly momentum: number; readonly nesterov: boolean },
): void {
  const velocity = momentum > 0 ? stateOf(name, 'momentum') : '';
  branch.change(name, 'SgdUpdate', [name, buffer, rate, velocity, clip, ...averageInputs(name, averageShare)], {
    domain: ORTUNE,
    attributes: { decay: float(decay), momentum: float(momentum), nesterov: int(Number(nesterov)) },
  });
}

const averageInputs = (name: string, share: string | undefined) =>
  share === undefined ? ['', ''] : [averageOf(name), share];
