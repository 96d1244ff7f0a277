import type { Model } from '../../onnx/index.ts';
import type { ImageTransform } from '../data/index.ts';
import { OrtuneError } from '../errors.ts';

/** Keys of a served model's `metadata_props`: all that a program in any language needs to feed it and read its answer. */
const KEYS = { labels: 'ortune.labels', resize: 'ortune.resize', crop: 'ortune.crop' } as const;

export interface ClassifierMetadata {
  /** Class names in the order of the output. */
  readonly classes: readonly string[];
  readonly transform: ImageTransform;
}

/** The model with its class names (a JSON array) and the sizes, in pixels, of the resize's short side and the crop. */
export function withClassifierMetadata(model: Model, { classes, transform }: ClassifierMetadata): Model {
  const metadata = new Map(model.metadata);
  metadata.set(KEYS.labels, JSON.stringify(classes));
  metadata.set(KEYS.resize, String(transform.resizeSize));
  metadata.set(KEYS.crop, String(transform.imageSize));
  return { ...model, metadata };
}

/** Reads what {@link withClassifierMetadata} wrote. @throws OrtuneError `MODEL_INVALID` */
export function classifierMetadata(metadata: ReadonlyMap<string, string>, file: string): ClassifierMetadata {
  const missing = Object.values(KEYS).filter((key) => !metadata.has(key));
  if (missing.length > 0) {
    throw new OrtuneError(
      'MODEL_INVALID',
      `${file}: expected a model written by npx ortune finetune, but its metadata lack ${missing.join(', ')}`,
    );
  }
  const side = (key: string): number => {
    const value = Number(metadata.get(key));
    if (Number.isSafeInteger(value) && value > 0) return value;
    throw new OrtuneError('MODEL_INVALID', `${file}: ${key}: expected a side in pixels, received ${metadata.get(key)}`);
  };
  return {
    classes: parseClassNames(metadata.get(KEYS.labels) as string, `${file}: ${KEYS.labels}`, 'MODEL_INVALID'),
    transform: { resizeSize: side(KEYS.resize), imageSize: side(KEYS.crop) },
  };
}

/** Class names from JSON text that a user may have edited. @throws OrtuneError `code`, saying where */
export function parseClassNames(text: string, where: string, code: string): string[] {
  let names: unknown;
  try {
    names = JSON.parse(text);
  } catch (error) {
    throw new OrtuneError(code, `${where}: expected a JSON array of class names: ${(error as Error).message}`);
  }
  if (!Array.isArray(names) || !names.every((name) => typeof name === 'string')) {
    throw new OrtuneError(code, `${where}: expected a JSON array of class names, received other JSON`);
  }
  return names;
}
