import { ACTIVATION_MAPS, IMAGE, type Model, PROBABILITIES, type ResNetOptions } from '../../onnx/index.ts';
import type { Dataset, ImageTransform } from '../data/index.ts';
import type { EvaluationResult } from '../metrics/index.ts';

/** Key of a served model's `metadata_props`: the card as JSON. */
const KEY = 'ortune.card';

/** How its weights are stored. */
export type StoredPrecision = 'fp32' | 'fp16' | 'int8';

/**
 * What whoever meets the model file alone should know of it. Nothing in it differs between two runs of the same options and
 * seed, and nothing tells of the machine: paths, dates and durations are in `run.json`.
 */
export interface ModelCard {
  readonly description: string;
  readonly task: 'image-classification';
  readonly classes: number;
  readonly network: ResNetOptions;
  readonly precision: StoredPrecision;
  /** What goes in and comes out, in words, by the tensors' names. */
  readonly inputs: Readonly<Record<string, string>>;
  readonly outputs: Readonly<Record<string, string>>;
  readonly trainingData: Pick<Dataset, 'kind' | 'split'> & {
    readonly seed: number;
    /** Pictures of each part. */
    readonly train: number;
    readonly valid: number;
    readonly test: number;
  };
  /** On the test part of these data; `null` where it was not tested. */
  readonly evaluation: TestFigures | null;
  /** How it was trained: the options that decide the result. */
  readonly training: Readonly<Record<string, unknown>>;
  readonly limitations: string;
  readonly license: string;
}

/** How well a model did on the test part. */
export type TestFigures = Pick<EvaluationResult, 'pictures' | 'top1' | 'top5' | 'meanPerClass' | 'cost'> & {
  /** Whether the figures are those of the mean over a picture and its mirror image. */
  readonly flip: boolean;
};

export interface CardFacts {
  readonly network: ResNetOptions;
  readonly dataset: Dataset;
  /** Seed that its split was drawn by. */
  readonly splitSeed: number;
  readonly transform: ImageTransform;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly evaluation: EvaluationResult | undefined;
}

/** Settings that decide what a network learns; the others say where things are and how fast it goes. */
const TRAINING_OPTIONS = [
  'passes',
  'batchSize',
  'optimizer',
  'learningRate',
  'schedule',
  'train',
  'batchNorm',
  'weightDecay',
  'momentum',
  'nesterov',
  'clipNorm',
  'accumulate',
  'labelSmoothing',
  'classWeights',
  'backboneRate',
  'layerDecay',
  'ema',
  'augment',
  'shuffle',
  'keep',
  'metric',
  'watch',
  'seed',
] as const;

export function modelCard({ network, dataset, splitSeed, transform, settings, evaluation }: CardFacts): ModelCard {
  const { kind, split, classes, train, valid, test } = dataset;
  const { resizeSize, imageSize } = transform;
  const flip = settings['testFlip'] === true;
  return {
    description: `Tells which of ${classes.length} classes a picture is of: ResNet${network.depth}, fine-tuned by ortune.`,
    task: 'image-classification',
    classes: classes.length,
    network,
    precision: 'fp32',
    inputs: {
      [IMAGE]:
        `uint8 [batch, ${imageSize}, ${imageSize}, 3], RGB: the picture turned as its EXIF says, transparency laid on white, ` +
        `its short side scaled to ${resizeSize} pixels, the square of ${imageSize} cut from its centre. Values go in as they are, 0 to 255.`,
    },
    outputs: {
      [PROBABILITIES]: `float32 [batch, ${classes.length}], of the classes in the order of ortune.labels`,
      [ACTIVATION_MAPS]: `float32 [batch, ${classes.length}, height, width]: how much each place of the picture speaks for each class`,
    },
    trainingData: { kind, split, seed: splitSeed, train: train.length, valid: valid.length, test: test.length },
    evaluation: evaluation ? testFigures(evaluation, flip) : null,
    training: Object.fromEntries(
      TRAINING_OPTIONS.filter((name) => settings[name] !== undefined).map((name) => [name, settings[name]]),
    ),
    limitations: 'Knows these classes alone: a picture of anything else is given one of them, too.',
    license: 'Not stated. Those of the pretrained weights and of the training pictures apply.',
  };
}

export function testFigures(evaluation: EvaluationResult, flip: boolean): TestFigures {
  const { pictures, top1, top5, meanPerClass, cost } = evaluation;
  return { pictures, top1, top5, meanPerClass, cost, flip };
}

/** The model with its card, whose description any viewer of ONNX files shows. */
export function withModelCard(model: Model, card: ModelCard): Model {
  const metadata = new Map([...model.metadata, [KEY, JSON.stringify(card)]]);
  return { ...model, metadata, description: card.description };
}

/** The card of a model; `undefined` for one that was written without, or whose card somebody broke. */
export function readModelCard(metadata: ReadonlyMap<string, string>): ModelCard | undefined {
  try {
    return JSON.parse(metadata.get(KEY) ?? 'null') ?? undefined;
  } catch {
    return undefined;
  }
}
