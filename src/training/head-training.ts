import {
  bytesOf,
  extract,
  FEATURES,
  HEAD_PARAMETERS,
  LOGITS,
  type Model,
  movedStatistics,
  type TrainingPlan,
  withInitializers,
} from '../../onnx/index.ts';
import type { Dataset } from '../data/index.ts';
import { type HeadSolution, solveHead } from '../head-solver/index.ts';
import type { Progress } from '../progress/index.ts';
import type { CheckpointState } from '../runtime/index.ts';
import { openBackbone } from './backbone.ts';
import type { BatchSource } from './batch-source.ts';
import { type FeatureOptions, type FeatureTable, featureSource } from './feature-source.ts';
import { withFinalTest } from './final-test.ts';
import { figuresOf, type PassesResult, type PassOptions, runPasses, testAndTell } from './passes.ts';
import { type PictureSourceOptions, pictureSource } from './picture-source.ts';
import { openTraining, type SessionDevice, type Training, trainedValues } from './session.ts';

/** Stage one, ready to go. */
export interface Stage {
  readonly model: Model;
  /** The model for pictures of the size that is tested. */
  readonly evaluated: Model;
  readonly plan: TrainingPlan;
  readonly dataset: Dataset;
  readonly device: SessionDevice;
  readonly options: PictureSourceOptions &
    FeatureOptions &
    Omit<PassOptions, 'values' | 'save' | 'keeper'> & {
      readonly progress: Progress;
      readonly optimizer: 'adam' | 'lbfgs';
      readonly threads?: number;
      /** Saves what there is so far, with the state that it is trained in. */
      readonly save: (folder: string, result: PassesResult, state: CheckpointState) => Promise<void>;
    };
}

/** A trained head, and the statistics that moved with it. */
export interface TrainedHead extends PassesResult, AsyncDisposable {
  readonly state: CheckpointState;
}

/** With live BatchNorm, whose running statistics follow the augmented pictures of each pass. */
export async function trainOnPictures(stage: Stage): Promise<TrainedHead> {
  const { model, evaluated, plan, dataset, device, options } = stage;
  const checkpoint = options.progress.found?.checkpoint;
  return keepOpen(await openTraining(model, plan, device, { evaluated, checkpoint }), async (training) => {
    await using source = pictureSource(dataset, options);
    const moved = movedStatistics(model.graph, plan);
    const values = () => trainedValues(training.state, plan, moved);
    const passes = await runPasses(training, source, passOptions(training, options, values));
    return await withFinalTest(passes, { model, evaluated, plan, device, source, options });
  });
}

/** On the features of each picture's centre crop: with BatchNorm on its running statistics they stay the same in every pass. */
export async function trainOnFeatures({
  model,
  evaluated,
  plan,
  dataset,
  device,
  options,
}: Stage): Promise<TrainedHead> {
  const source = await frozenSource(evaluated, dataset, device, options);
  let head = extract(model, [FEATURES], [LOGITS]);
  const solution = options.optimizer === 'lbfgs' ? await solve(source.trainTable, options) : undefined;
  if (solution) head = withInitializers(head, headValues(solution));
  return keepOpen(
    await openTraining(head, plan, device, { checkpoint: options.progress.found?.checkpoint }),
    async (training) => {
      if (solution) return testSolution(training, source, solution, options);
      const values = () => trainedValues(training.state, plan, []);
      const passes = await runPasses(training, source, passOptions(training, options, values));
      return withFinalTest(passes, { model: head, evaluated: head, plan, device, source, options });
    },
  );
}

const passOptions = (training: Training, options: Stage['options'], values: PassOptions['values']): PassOptions => ({
  ...options,
  values,
  save: (folder, result) => options.save(folder, result, training.state),
  keeper: options.progress.keeper((path) => training.state.save(path, { includeOptimizerState: true })),
});

/** The state outlives the training, to be saved, unless that fails. */
async function keepOpen(
  training: Training,
  train: (training: Training) => Promise<PassesResult>,
): Promise<TrainedHead> {
  try {
    const result = await train(training);
    return { ...result, state: training.state, [Symbol.asyncDispose]: () => training[Symbol.asyncDispose]() };
  } catch (error) {
    await training[Symbol.asyncDispose]();
    throw error;
  }
}

async function frozenSource(evaluated: Model, dataset: Dataset, device: SessionDevice, options: FeatureOptions) {
  await using backbone = await openBackbone(evaluated, device);
  // Awaited here: the backbone goes when this function returns.
  return await featureSource(backbone, dataset, options);
}

/** The best head on the features, and on those of the mirror images where there are some. */
async function solve(
  { values, mirrored, width, labels }: FeatureTable,
  { classes, seed, signal, emit, threads }: Stage['options'],
): Promise<HeadSolution> {
  const pictures = labels.length;
  const own = Int32Array.from(labels, Number);
  const features = mirrored ? joined(values, mirrored) : values;
  let tried = 0;
  return solveHead({
    features,
    width,
    labels: mirrored ? Int32Array.of(...own, ...own) : own,
    classes: classes.length,
    ...(mirrored && { groups: Int32Array.from({ length: 2 * pictures }, (_, row) => row % pictures) }),
    seed,
    ...(threads !== undefined && { threads }),
    ...(signal && { signal }),
    onProgress: (fit) => emit({ type: 'head-fit', tried: ++tried, ...fit }),
  });
}

function joined(one: Float32Array, other: Float32Array): Float32Array {
  const both = new Float32Array(one.length + other.length);
  both.set(one);
  both.set(other, one.length);
  return both;
}

function headValues({ weights, bias }: HeadSolution): Map<string, Uint8Array> {
  const [weightsName, biasName] = HEAD_PARAMETERS;
  return new Map([
    [weightsName, bytesOf(weights)],
    [biasName, bytesOf(bias)],
  ]);
}

/** A solution as the result of one pass, its figures those of the training rows and of the test. */
async function testSolution(
  training: Training,
  source: BatchSource,
  solution: HeadSolution,
  options: Stage['options'],
): Promise<PassesResult> {
  const started = performance.now();
  const evaluation = options.test ? await testAndTell(training, source, 0, 'test', options) : undefined;
  const pass = {
    pass: 0,
    learningRate: 0,
    trainCost: solution.trainCost,
    trainAccuracy: solution.trainAccuracy,
    ...(evaluation && figuresOf(evaluation)),
    seconds: (performance.now() - started) / 1000,
    dataWait: 0,
  };
  return { history: [pass], steps: [], kept: 0, values: headValues(solution), evaluation, rollbacks: [] };
}
