import { UPDATE_INPUTS } from '../../onnx/index.ts';
import type { Tensors, TrainingSession } from '../runtime/index.ts';

/** A batch's place in its update: an update is made of one batch, or of several whose gradients add up. */
export interface UpdatePart {
  /** Share of the update's pictures that are in this batch. */
  readonly share: number;
  /** Whether the update is made after this batch. */
  readonly last: boolean;
}

/** Trains a batch at a time, wherever the optimizer is. */
export interface Stepper {
  setLearningRate(rate: number): Promise<void>;
  /** @returns the training model's outputs */
  step(feeds: Tensors, part: UpdatePart): Promise<Tensors>;
}

/** With ONNX Runtime's own optimizer model, which makes an update of each batch's gradient as it is. */
export function libraryStepper(session: TrainingSession): Stepper {
  return {
    setLearningRate: (rate) => session.setLearningRate(rate),
    async step(feeds, { share, last }) {
      if (share !== 1 || !last) throw new Error('the optimizer model takes every batch for an update of its own');
      const outputs = await session.trainStep(feeds);
      await session.optimizerStep();
      await session.lazyResetGrad();
      return outputs;
    },
  };
}

/** With the update in the training graph. */
export function graphStepper(session: TrainingSession): Stepper {
  const learningRate = Float32Array.of(0);
  return {
    async setLearningRate(rate) {
      learningRate[0] = rate;
    },
    async step(feeds, { share, last }) {
      const outputs = await session.trainStep({
        ...feeds,
        [UPDATE_INPUTS.lossWeight]: { type: 'float32', dims: [], data: Float32Array.of(share) },
        [UPDATE_INPUTS.update]: { type: 'bool', dims: [1], data: Uint8Array.of(Number(last)) },
        [UPDATE_INPUTS.learningRate]: { type: 'float32', dims: [1], data: learningRate },
      });
      if (last) await session.lazyResetGrad();
      return outputs;
    },
  };
}
