import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  atImageSize,
  type Model,
  movedStatistics,
  type Optimizer,
  type ResNetOptions,
  type TrainingPlan,
} from '../../onnx/index.ts';
import type { Dataset, ImageTransform } from '../data/index.ts';
import { OrtuneError } from '../errors.ts';
import { parseClassNames } from '../inference/index.ts';
import type { Progress } from '../progress/index.ts';
import type { BatchSource } from './batch-source.ts';
import { requireMemory } from './check-memory.ts';
import { chooseDevice } from './device.ts';
import { type KeepOptions, openProgress } from './keep.ts';
import { checkPrecision, chooseKernels } from './kernels.ts';
import { checkStageOptions, FINETUNE_DEFAULTS, type FinetuneOptions } from './options.ts';
import { parentOf, RUN_FILE } from './output-folder.ts';
import { mixes, pictureSource } from './picture-source.ts';
import { planOf } from './plan.ts';
import { checkPictures, openData, readNetwork, requireWatched } from './prepare.ts';
import type { RunContext, RunOptions } from './run.ts';
import { LABELS_FILE } from './save.ts';
import { needsConstantShape, openTraining, type SessionDevice, sessionDevice, type Training } from './session.ts';
import { picturesOf, wholeMemory } from './stage-memory.ts';
import { testTransformOf } from './test-size.ts';

const settingsOf = (given: Omit<OwnOptions, 'memoryLimit'>) => ({ ...FINETUNE_DEFAULTS, ...given });

/** Stage two, ready to go. */
export interface StageTwo extends AsyncDisposable {
  readonly settings: ReturnType<typeof settingsOf>;
  readonly network: ResNetOptions;
  readonly model: Model;
  /** The model for pictures of the size that is tested. */
  readonly evaluated: Model;
  readonly plan: TrainingPlan<Optimizer>;
  /** Names of the running statistics that training moves. */
  readonly moved: ReadonlySet<string>;
  readonly dataset: Dataset;
  /** Seed that its split was drawn by. */
  readonly splitSeed: number;
  readonly testTransform: ImageTransform;
  readonly device: SessionDevice;
  readonly training: Training;
  readonly source: BatchSource;
  readonly progress: Progress | undefined;
}

/** Options of the stage itself. */
type OwnOptions = Omit<FinetuneOptions, keyof RunOptions | keyof KeepOptions>;

/**
 * Reads what stage one left, checks options and pictures, and opens a session.
 *
 * @throws OrtuneError for anything wrong with options, data or the stage-one folder
 */
export async function openStageTwo(
  { memoryLimit, ...options }: OwnOptions,
  { emit, signal, dataReport }: Pick<RunContext, 'emit' | 'signal' | 'dataReport'>,
  keep?: KeepOptions,
): Promise<StageTwo> {
  const settings = settingsOf(options);
  checkStageOptions('finetune', { ...settings, memoryLimit });
  const graph = join(settings.from, 'graph.onnx');
  const { model, network } = await readNetwork(graph, 'Run npx ortune pretrain first, or name its folder with --from.');
  const chosen = await chooseDevice(settings.device, settings.cuda);
  const kernels = chooseKernels(settings.kernels, chosen);
  checkPrecision(settings.precision, chosen, kernels);
  const labels = await readLabels(join(settings.from, LABELS_FILE));
  // Stage one's own parts, or pictures that it trained on would be tested on.
  const { asked, drawn } = await partitionOf(join(settings.from, RUN_FILE));
  const own = settings.split === undefined ? { ...settings, ...asked } : settings;
  const testTransform = testTransformOf(network.imageSize, settings);
  const found = await openData({ ...own, emit, signal, expectedClasses: labels });
  requireWatched(found, settings.watch);
  if (found.root === drawn.root && (found.split !== drawn.split || own.seed !== drawn.seed)) {
    const text =
      `stage one's split was ${drawn.split}, seed ${drawn.seed}: with ${found.split}, seed ${own.seed}, ` +
      'pictures that it trained on may be among those that are tested.';
    emit({ type: 'note', text });
  }
  const softLabels = mixes(settings.augment);
  const planFor = ({ train }: Dataset) => {
    return planOf(model, settings, { labels: train.map(({ label }) => label), softLabels, kernels: kernels.kernels });
  };
  // For its errors: reading the pictures takes a while.
  planFor(found);
  const size = { network, chosen: kernels, device: chosen.device, pictures: picturesOf(found) };
  const cacheBytes = await requireMemory(wholeMemory(settings, { ...size, memoryLimit, by: 'flags', emit }));
  const dataset = await checkPictures(found, { ...settings, emit, signal, dataReport });
  const plan = planFor(dataset);
  const evaluated = atImageSize(model, testTransform.imageSize);
  const device = sessionDevice(chosen, { ...settings, chosen: kernels, plan, emit });
  const cacheFolder = await parentOf(settings.out);
  const kept = { command: 'finetune', settings, network, graph, dataset, splitSeed: own.seed, device, emit } as const;
  const progress = keep && (await openProgress(kept, keep));
  const training = await openTraining(model, plan, device, {
    evaluated,
    checkpoint: progress?.found?.checkpoint,
  }).catch(async (error) => {
    await progress?.[Symbol.asyncDispose]();
    throw error;
  });
  const moved = movedStatistics(model.graph, plan);
  const source = pictureSource(dataset, {
    ...settings,
    imageSize: network.imageSize,
    testTransform,
    constantShape: needsConstantShape(device),
    liveBatchNorm: moved.size > 0,
    cacheFolder,
    cacheBytes,
    signal,
  });
  return {
    settings,
    network,
    model,
    evaluated,
    plan,
    moved,
    dataset,
    splitSeed: own.seed,
    testTransform,
    device,
    training,
    source,
    progress,
    async [Symbol.asyncDispose]() {
      try {
        await source[Symbol.asyncDispose]();
      } finally {
        await training[Symbol.asyncDispose]();
        await progress?.[Symbol.asyncDispose]();
      }
    },
  };
}

async function readLabels(file: string): Promise<string[]> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new OrtuneError(
      'STAGE_ONE',
      `expected stage one's class names in ${file}, but it cannot be read (${error.code}).`,
    );
  });
  return parseClassNames(text, file, 'STAGE_ONE');
}

/** The split that stage one was told to make, the seed that it was drawn by, and what came of it. */
interface Partition {
  readonly asked: { readonly split?: string; readonly seed?: number };
  readonly drawn: { readonly root?: unknown; readonly split?: unknown; readonly seed?: unknown };
}

async function partitionOf(file: string): Promise<Partition> {
  const { options, dataset } = await readRun(file);
  const { split, seed } = options;
  return {
    asked: { ...(typeof split === 'string' && { split }), ...(typeof seed === 'number' && { seed }) },
    drawn: dataset,
  };
}

type Section = Readonly<Record<string, unknown>>;

async function readRun(file: string): Promise<{ options: Section; dataset: Section }> {
  let run: { options?: Section | null; dataset?: Section | null } | null;
  try {
    run = JSON.parse(await readFile(file, 'utf8'));
  } catch (error) {
    throw new OrtuneError(
      'STAGE_ONE',
      `expected stage one's record in ${file}, but it cannot be read: ${String(error)}`,
    );
  }
  const { options, dataset } = run ?? {};
  if (options && dataset && typeof options === 'object' && typeof dataset === 'object') return { options, dataset };
  throw new OrtuneError('STAGE_ONE', `${file}: expected the record of a run with its options and data.`);
}
