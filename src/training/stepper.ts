import { LOSS_SCALE, OVERFLOW, UPDATE_INPUTS } from '../../onnx/index.ts';
import type { Tensor, Tensors, TrainingSession } from '../runtime/index.ts';
import { LossScale } from './loss-scale.ts';

/** A batch's place in its update: an update is made of one batch, or of several whose gradients add up. */
export interface UpdatePart {
  /** Share of the update's pictures that are in this batch. */
  readonly share: number;
  /** Whether the update is made after this batch. */
  readonly last: boolean;
}

/** What a stepper needs of a session. */
export type StepSession = Pick<
  TrainingSession,
  'trainInputNames' | 'trainStep' | 'optimizerStep' | 'lazyResetGrad' | 'setLearningRate'
>;

export interface StepResult {
  /** The training model's. */
  readonly outputs: Tensors;
  /** Whether this step was to end an update that was left out, as gradients overflowed in half precision. */
  readonly skipped: boolean;
}

/** Trains a batch at a time, wherever the optimizer is. */
export interface Stepper {
  setLearningRate(rate: number): Promise<void>;
  /** Share of the new values in the running averages of the parameters, where the plan has some. */
  setAverageShare(share: number): void;
  step(feeds: Tensors, part: UpdatePart): Promise<StepResult>;
  /** The loss scale's state, where there is one; to be set again where training goes on. */
  lossScale: [number, number] | undefined;
}

/** With ONNX Runtime's own optimizer model, which makes an update of each batch's gradient as it is. */
export function libraryStepper(session: StepSession): Stepper {
  const scaling = new Scaling(session);
  return {
    get lossScale() {
      return scaling.parts;
    },
    set lossScale(parts) {
      scaling.parts = parts;
    },
    setLearningRate: (rate) => session.setLearningRate(rate),
    setAverageShare() {
      throw new Error('the optimizer model keeps no running averages');
    },
    async step(feeds, { share, last }) {
      if (share !== 1 || !last) throw new Error('the optimizer model takes every batch for an update of its own');
      const outputs = await session.trainStep({ ...feeds, ...scaling.feeds() });
      const skipped = scaling.see(outputs);
      if (!skipped) await session.optimizerStep();
      await session.lazyResetGrad();
      scaling.settle();
      return { outputs, skipped };
    },
  };
}

/** With the update in the training graph, which leaves it out itself when this step's gradients overflow. */
export function graphStepper(session: StepSession): Stepper {
  const learningRate = Float32Array.of(0);
  const averageShare = Float32Array.of(1);
  const averages = session.trainInputNames.includes(UPDATE_INPUTS.averageShare);
  const scaling = new Scaling(session);
  return {
    get lossScale() {
      return scaling.parts;
    },
    set lossScale(parts) {
      scaling.parts = parts;
    },
    async setLearningRate(rate) {
      learningRate[0] = rate;
    },
    setAverageShare(share) {
      averageShare[0] = share;
    },
    async step(feeds, { share, last }) {
      // An earlier batch's overflow is in the sum, though this step's own gradients may be finite.
      const update = last && !scaling.overflowed;
      const outputs = await session.trainStep({
        ...feeds,
        ...scaling.feeds(),
        [UPDATE_INPUTS.lossWeight]: { type: 'float32', dims: [], data: Float32Array.of(share) },
        [UPDATE_INPUTS.update]: { type: 'bool', dims: [1], data: Uint8Array.of(Number(update)) },
        [UPDATE_INPUTS.learningRate]: { type: 'float32', dims: [1], data: learningRate },
        ...(averages && { [UPDATE_INPUTS.averageShare]: { type: 'float32', dims: [1], data: averageShare } }),
      });
      const overflowed = scaling.see(outputs);
      if (!last) return { outputs, skipped: false };
      await session.lazyResetGrad();
      scaling.settle();
      return { outputs, skipped: overflowed };
    },
  };
}

/** The loss scale of a session whose model has one; else it feeds nothing and sees no overflow. */
class Scaling {
  #scale: LossScale | undefined;
  /** In the update under way. */
  overflowed = false;

  constructor(session: StepSession) {
    this.#scale = session.trainInputNames.includes(LOSS_SCALE) ? new LossScale() : undefined;
  }

  get parts(): [number, number] | undefined {
    return this.#scale?.parts;
  }

  set parts(parts: [number, number] | undefined) {
    if (this.#scale && parts) this.#scale = new LossScale(...parts);
  }

  feeds(): Record<string, Tensor> {
    if (!this.#scale) return {};
    return { [LOSS_SCALE]: { type: 'float32', dims: [], data: Float32Array.of(this.#scale.value) } };
  }

  /** @returns whether the update under way is spoilt, by this step or an earlier one */
  see(outputs: Tensors): boolean {
    this.overflowed ||= outputs[OVERFLOW]?.data[0] === 1;
    return this.overflowed;
  }

  /** At an update's end. */
  settle(): void {
    this.#scale?.settle(this.overflowed);
    this.overflowed = false;
  }
}
