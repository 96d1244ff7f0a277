import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { IMAGE, PROBABILITIES } from '../../onnx/index.ts';
import { decodeCentre, type ImageTransform } from '../data/index.ts';
import { OrtuneError } from '../errors.ts';
import { checkThreads } from '../threads.ts';
import { classifierMetadata } from './metadata.ts';
import { InferenceWorker } from './worker-session.ts';

export interface ClassProbability {
  readonly label: string;
  /** 0 to 1; over all classes they sum to 1. */
  readonly probability: number;
}

/** A fine-tuned model that tells what is on pictures, served by onnxruntime-node. */
export class Classifier {
  /** Class names in the order of the model's output. */
  readonly classes: readonly string[];
  readonly transform: ImageTransform;
  readonly #worker: InferenceWorker;

  private constructor(worker: InferenceWorker, classes: readonly string[], transform: ImageTransform) {
    this.#worker = worker;
    this.classes = classes;
    this.transform = transform;
  }

  /**
   * @param path a folder that `finetune` wrote, or a `.onnx` file of its making
   * @throws OrtuneError `MODEL_NOT_FOUND`, `MODEL_INVALID`
   */
  static async load(path: string, options: { threads?: number | undefined } = {}): Promise<Classifier> {
    checkThreads(options.threads);
    const found = await stat(path).catch(() => undefined);
    const file = found?.isDirectory() ? join(path, 'model.onnx') : path;
    if (!(await stat(file).catch(() => undefined))?.isFile()) {
      throw new OrtuneError(
        'MODEL_NOT_FOUND',
        `expected a fine-tuned model at ${path}, found no ${file}. Make one with npm run finetune, or name another with --model.`,
      );
    }
    const worker = await InferenceWorker.create(file, options);
    try {
      const { classes, transform } = classifierMetadata(worker.info.metadata, file);
      return new Classifier(worker, classes, transform);
    } catch (error) {
      await worker.dispose();
      throw error;
    }
  }

  /**
   * The model's output for pixels that have been cropped already.
   *
   * @param images RGB, uint8 [size, side, side, 3]
   * @returns probabilities, float32 [size, classes], row by row
   */
  async probabilities(images: Uint8Array, size: number): Promise<Float32Array> {
    const side = this.transform.imageSize;
    const outputs = await this.#worker.run({ [IMAGE]: { type: 'uint8', dims: [size, side, side, 3], data: images } });
    return outputs[PROBABILITIES]?.data as Float32Array;
  }

  /**
   * The likeliest classes of one picture, best first.
   *
   * @param picture path or bytes of an image file
   * @throws OrtuneError `IMAGE_UNREADABLE`; `MODEL_RUN` when the model gives no numbers
   */
  async predict(picture: string | Uint8Array, options: { top?: number } = {}): Promise<ClassProbability[]> {
    const values = await this.probabilities(await decodeCentre(picture, this.transform), 1);
    if (!values.every(Number.isFinite)) {
      throw new OrtuneError(
        'MODEL_RUN',
        'expected probabilities, but the model gives what is no number: its training went wrong. Train it anew, at a lower --lr.',
      );
    }
    return this.classes
      .map((label, index) => ({ label, probability: values[index] as number }))
      .sort((left, right) => right.probability - left.probability)
      .slice(0, options.top ?? 5);
  }

  async dispose(): Promise<void> {
    await this.#worker.dispose();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }
}
