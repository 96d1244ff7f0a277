import { OrtuneError } from '../errors.ts';
import { type ClassProbability, loadModel } from './classifier.ts';
import { listPictures } from './list-pictures.ts';

/** By which model, and how much of its answer. */
export interface PredictOptions {
  /** Folder that `finetune` or `fit` wrote, or a `.onnx` file of its making. Default `models/infer_model`. */
  readonly model?: string;
  /** Classes named for each picture. Default 5. */
  readonly top?: number;
  /** Threads of the model; all there are by default. */
  readonly threads?: number | undefined;
}

/** What a picture was found to show, or why it could not be told. */
export type Prediction =
  | { readonly file: string; readonly predictions: readonly ClassProbability[] }
  | { readonly file: string; readonly error: OrtuneError };

/** Where `finetune` and `fit` leave the model unless told otherwise. */
const MODEL = 'models/infer_model';

/**
 * Names what is on pictures, one after the other as they are asked for. A broken picture among many does not hide the
 * answers for the others. For one picture, or bytes, see {@link loadModel}.
 *
 * @param pictures files, folders or glob patterns
 * @throws OrtuneError as `loadModel`; `PICTURES_NOT_FOUND` where one of them stands for no file
 */
export async function* predict(
  pictures: string | readonly string[],
  { model = MODEL, top = 5, threads }: PredictOptions = {},
): AsyncGenerator<Prediction> {
  const files = await listPictures(typeof pictures === 'string' ? [pictures] : pictures);
  await using classifier = await loadModel(model, { threads });
  for (const file of files) {
    try {
      yield { file, predictions: await classifier.predict(file, { top }) };
    } catch (error) {
      if (!(error instanceof OrtuneError) || error.code !== 'IMAGE_UNREADABLE') throw error;
      yield { file, error };
    }
  }
}
