import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ACTIVATION_MAPS, IMAGE, PROBABILITIES } from '../../onnx/index.ts';
import { decodeCentre, type ImageTransform } from '../data/index.ts';
import { OrtuneError } from '../errors.ts';
import { checkThreads } from '../threads.ts';
import { classifierMetadata } from './metadata.ts';
import { InferenceWorker } from './worker-session.ts';

/** A class, and how likely the model holds it to be. */
export interface ClassProbability {
  readonly label: string;
  /** 0 to 1; over all classes they sum to 1. */
  readonly probability: number;
  /** Where on the picture the network looked, where that was asked for. */
  readonly map?: ActivationMap;
}

/** A class-activation map: how much each place of the square that the network saw speaks for the class, row by row. */
export interface ActivationMap {
  readonly height: number;
  readonly width: number;
  /** float32 [height, width]; what speaks against the class is negative. */
  readonly values: Float32Array;
}

/** What the model says of a batch, row by row. */
export interface ClassifierOutput {
  /** float32 [size, classes] */
  readonly probabilities: Float32Array;
  /** float32 [size, classes, height, width], where asked for. */
  readonly maps?: Float32Array;
}

/** A fine-tuned model that tells what is on pictures, served by onnxruntime-node. */
export class Classifier {
  /** Class names in the order of the model's output. */
  readonly classes: readonly string[];
  readonly transform: ImageTransform;
  /** Size of the class-activation maps; `undefined` for a model that gives none. */
  readonly mapSize: { readonly height: number; readonly width: number } | undefined;
  readonly #worker: InferenceWorker;

  private constructor(worker: InferenceWorker, classes: readonly string[], transform: ImageTransform) {
    this.#worker = worker;
    this.classes = classes;
    this.transform = transform;
    const [, , height, width] = worker.info.outputs.find(({ name }) => name === ACTIVATION_MAPS)?.dims ?? [];
    if (typeof height === 'number' && typeof width === 'number') this.mapSize = { height, width };
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
        `expected a fine-tuned model at ${path}, found no ${file}. Make one with npx ortune finetune, or name another with --model.`,
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

  /** Whether it can be asked: not after `dispose`, nor when the model's thread has failed. */
  get ready(): boolean {
    return this.#worker.ready;
  }

  /**
   * What the model says of pixels that have been cropped already.
   *
   * @param images RGB, uint8 [size, side, side, 3]
   * @throws OrtuneError `MAPS_UNAVAILABLE` when the model gives no maps
   */
  async infer(images: Uint8Array, size: number, options: { maps?: boolean } = {}): Promise<ClassifierOutput> {
    const { maps = false } = options;
    if (maps && !this.mapSize) throw mapsUnavailable();
    const side = this.transform.imageSize;
    const outputs = await this.#worker.run(
      { [IMAGE]: { type: 'uint8', dims: [size, side, side, 3], data: images } },
      maps ? [PROBABILITIES, ACTIVATION_MAPS] : [PROBABILITIES],
    );
    return {
      probabilities: outputs[PROBABILITIES]?.data as Float32Array,
      ...(maps && { maps: outputs[ACTIVATION_MAPS]?.data as Float32Array }),
    };
  }

  /**
   * The likeliest classes of one picture, best first.
   *
   * @param output the model's for a single picture
   * @throws OrtuneError `MODEL_RUN` when the model gives no numbers
   */
  rank({ probabilities, maps }: ClassifierOutput, top = 5): ClassProbability[] {
    if (!probabilities.every(Number.isFinite)) {
      throw new OrtuneError(
        'MODEL_RUN',
        'expected probabilities, but the model gives what is no number: its training went wrong. Train it anew, at a lower --lr.',
      );
    }
    const { height, width } = this.mapSize ?? { height: 0, width: 0 };
    const mapOf = (index: number, values: Float32Array): ActivationMap => ({
      height,
      width,
      values: values.slice(index * height * width, (index + 1) * height * width),
    });
    return this.classes
      .map((label, index) => ({ label, index, probability: probabilities[index] as number }))
      .sort((left, right) => right.probability - left.probability)
      .slice(0, top)
      .map(({ label, index, probability }) => ({ label, probability, ...(maps && { map: mapOf(index, maps) }) }));
  }

  /**
   * The likeliest classes of one picture, best first.
   *
   * @param picture path or bytes of an image file
   * @param options `top`: how many, 5 by default; `maps`: whether each comes with its class-activation map
   * @throws OrtuneError `IMAGE_UNREADABLE`; `MODEL_RUN` when the model gives no numbers; `MAPS_UNAVAILABLE`
   */
  async predict(
    picture: string | Uint8Array,
    options: { top?: number; maps?: boolean } = {},
  ): Promise<ClassProbability[]> {
    const { top, maps = false } = options;
    return this.rank(await this.infer(await decodeCentre(picture, this.transform), 1, { maps }), top);
  }

  /** Lets go of the model and ends its thread. */
  async dispose(): Promise<void> {
    await this.#worker.dispose();
  }

  /** As `dispose`, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }
}

const mapsUnavailable = () =>
  new OrtuneError(
    'MAPS_UNAVAILABLE',
    `expected a model with the output ${ACTIVATION_MAPS}, but this one was made by an older ortune. Make it anew with npx ortune finetune.`,
  );

/**
 * Opens a fine-tuned model.
 *
 * @param path a folder that `finetune` or `fit` wrote, or a `.onnx` file of its making
 * @throws OrtuneError `MODEL_NOT_FOUND`, `MODEL_INVALID`
 */
export const loadModel = (path: string, options: { threads?: number | undefined } = {}): Promise<Classifier> =>
  Classifier.load(path, options);
