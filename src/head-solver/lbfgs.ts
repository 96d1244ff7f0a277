/** A function to be made small, and its gradient there. */
export interface Evaluated {
  readonly value: number;
  readonly gradient: Float64Array;
}

export interface LbfgsOptions {
  /** Steps at most. */
  readonly maxIterations: number;
  /** Done when the gradient's norm falls below this share of its first, or of `referenceNorm`. */
  readonly tolerance: number;
  /** The norm that the tolerance refers to; the norm at `start` by default, which means little for a warm start. */
  readonly referenceNorm?: number;
  /** Called after each step; `false` ends the search. */
  readonly onIteration?: (iteration: number, value: number) => boolean;
}

export interface LbfgsResult {
  readonly point: Float64Array;
  readonly value: number;
  readonly iterations: number;
  /** Whether the tolerance was reached, rather than the last step or the precision's end. */
  readonly converged: boolean;
}

/** Pairs of steps and gradient changes that are remembered. */
const MEMORY = 10;
/** Share of the decrease that the slope promises which a step must give (Armijo). */
const SUFFICIENT = 1e-4;
/** Differences of the value below this share of it are rounding: the slope then tells whether a step is good. */
const ROUNDING = 1e-7;
/** Steps in a row that change the value by no more, nor make the gradient smaller, after which nothing is left to gain. */
const STALLED = 10;

/**
 * Limited-memory BFGS (Nocedal and Wright, "Numerical optimization", 2006, algorithms 7.4 and 7.5) with a backtracking
 * line search, for smooth convex functions: there every step has non-negative curvature, so the search need not look
 * for it.
 */
export async function minimise(
  evaluate: (point: Float64Array) => Promise<Evaluated>,
  start: Float64Array,
  { maxIterations, tolerance, referenceNorm, onIteration }: LbfgsOptions,
): Promise<LbfgsResult> {
  let point: Float64Array = start.slice();
  let { value, gradient } = await evaluate(point);
  const enough = tolerance * (referenceNorm ?? norm(gradient));
  const pairs: Pair[] = [];
  let [least, stalled] = [norm(gradient), 0];
  let iteration = 0;
  for (; iteration < maxIterations && norm(gradient) > enough; iteration++) {
    const direction = descent(gradient, pairs);
    const slope = dot(gradient, direction);
    // The first step has no scale of its own yet.
    let step = pairs.length === 0 ? Math.min(1, 1 / norm(gradient)) : 1;
    let next: Float64Array;
    let evaluated: Evaluated;
    for (;;) {
      next = along(point, direction, step);
      evaluated = await evaluate(next);
      if (evaluated.value <= value + SUFFICIENT * step * slope) break;
      // Hager and Zhang's approximate form of the same condition (SIAM J. Optim. 2005, 4.1).
      const flattened = dot(evaluated.gradient, direction) <= (2 * SUFFICIENT - 1) * slope;
      if (flattened && evaluated.value <= value + ROUNDING * Math.abs(value)) break;
      // Minimum of the parabola through what is known, kept within reach (ibid., 3.57).
      const parabola = (-slope * step * step) / (2 * (evaluated.value - value - slope * step));
      step = Number.isFinite(parabola) ? Math.min(Math.max(parabola, 0.1 * step), 0.5 * step) : 0.1 * step;
      if (step < 1e-6) return { point, value, iterations: iteration, converged: false };
    }
    remember(pairs, difference(next, point), difference(evaluated.gradient, gradient));
    const gained = value - evaluated.value > ROUNDING * Math.abs(value);
    ({ value, gradient } = evaluated);
    point = next;
    if (onIteration?.(iteration, value) === false) break;
    const slopeNorm = norm(gradient);
    if (gained || slopeNorm < least) [least, stalled] = [Math.min(least, slopeNorm), 0];
    else if (++stalled === STALLED) break;
  }
  return { point, value, iterations: iteration, converged: norm(gradient) <= enough };
}

interface Pair {
  readonly step: Float64Array;
  readonly change: Float64Array;
  readonly product: number;
}

function remember(pairs: Pair[], step: Float64Array, change: Float64Array): void {
  const product = dot(step, change);
  // Rounding can turn it negative close to the minimum.
  if (product <= 1e-12 * dot(change, change)) return;
  pairs.push({ step, change, product });
  if (pairs.length > MEMORY) pairs.shift();
}

/** The two-loop recursion: minus the gradient times the inverse Hessian that the pairs suggest. */
function descent(gradient: Float64Array, pairs: readonly Pair[]): Float64Array {
  const direction = gradient.map((value) => -value);
  const shares: number[] = [];
  for (let index = pairs.length - 1; index >= 0; index--) {
    const { step, change, product } = pairs[index]!;
    shares[index] = dot(step, direction) / product;
    add(direction, change, -shares[index]!);
  }
  const last = pairs.at(-1);
  if (last) {
    const scale = last.product / dot(last.change, last.change);
    for (let index = 0; index < direction.length; index++) direction[index]! *= scale;
  }
  for (const [index, { step, change, product }] of pairs.entries()) {
    add(direction, step, shares[index]! - dot(change, direction) / product);
  }
  return direction;
}

function dot(left: Float64Array, right: Float64Array): number {
  let sum = 0;
  for (let index = 0; index < left.length; index++) sum += left[index]! * right[index]!;
  return sum;
}

export const norm = (vector: Float64Array): number => Math.sqrt(dot(vector, vector));

function add(to: Float64Array, vector: Float64Array, factor: number): void {
  for (let index = 0; index < to.length; index++) to[index]! += factor * vector[index]!;
}

function along(point: Float64Array, direction: Float64Array, step: number): Float64Array {
  const next = point.slice();
  add(next, direction, step);
  return next;
}

function difference(left: Float64Array, right: Float64Array): Float64Array {
  const result = left.slice();
  add(result, right, -1);
  return result;
}
