import { join } from 'node:path';
import { type InputNormalisationName, RESNET_DEFAULTS, type ResNetOptions } from '../../onnx/index.ts';
import { buildGraph } from '../build-graph.ts';
import { badImagesOf, checkData, type DataReport } from '../check-data/index.ts';
import { badImagesError } from '../data/index.ts';
import { isKept } from '../progress/index.ts';
import { loadRecipe, type Recipe } from '../recipes/index.ts';
import type { CudaOptions } from '../runtime/index.ts';
import { chooseDevice, type DeviceChoice } from '../training/device.ts';
import { trainWhole } from '../training/finetune.ts';
import { checkOutputFolder } from '../training/output-folder.ts';
import { type StageResult, trainHead } from '../training/pretrain.ts';
import { type Run, type RunContext, type RunOptions, startRun } from '../training/run.ts';
import { openWeights } from '../weights/index.ts';
import { chooseImageSize, choosePasses, networkOf } from './choose.ts';
import { requireFitMemory } from './memory.ts';
import { fetchWeights } from './weights.ts';

/** What `fit` takes; all but the data has a default. */
export interface FitOptions extends RunOptions {
  /** Folder or CSV file of the data set. */
  readonly data: string;
  /** File or folder of pretrained weights, or `'none'`; torchvision's ResNet50 by default, which is fetched once. */
  readonly weights?: string;
  /** What the weights expect, and their network's shape where it isn't what `buildResNet` takes by default. */
  readonly inputNorm?: InputNormalisationName;
  readonly strideIn?: ResNetOptions['strideIn'];
  /** Side of the network's input, a multiple of 32; by default 128 on a CPU, 224 on a GPU, less for small pictures. */
  readonly imageSize?: number;
  /** Passes of stage two; by default the fewer, the more pictures there are to train on. */
  readonly passes?: number;
  /** A recipe, or its name or file; `'recommended'` by default. */
  readonly recipe?: string | Recipe;
  readonly split?: string;
  readonly seed?: number;
  readonly device?: DeviceChoice;
  readonly cuda?: CudaOptions;
  readonly threads?: number;
  readonly kernels?: 'native' | 'stock';
  /** What the process may take on the CPU, as of `pretrain` and `finetune`. */
  readonly memoryLimit?: string;
  readonly onBadImage?: 'stop' | 'skip';
  /** As in a stage; the recipe's by default. */
  readonly onNan?: 'stop' | 'rollback';
  /** Goes on with a run of the same options that was interrupted; begins where nothing of it was kept. */
  readonly resume?: boolean;
  /** Folder for `graph.onnx`, `pretrain_model` and `infer_model`. */
  readonly out?: string;
}

export const FIT_DEFAULTS = {
  recipe: 'recommended',
  seed: 0,
  device: 'auto',
  onBadImage: 'stop',
  resume: false,
  out: 'models',
} as const;

/** What `fit` leaves. */
export interface FitResult extends StageResult {
  /** What the look at the data found. */
  readonly dataReport: DataReport;
}

/**
 * From a folder of pictures to a model that serves them: looks the pictures over, builds the network that the weights are
 * of, trains its head and then all of it, and tests what has come of it. The same as the commands `check-data`,
 * `build-graph`, `pretrain` and `finetune` in a row, which have more options.
 *
 * @returns the served model's folder
 * @throws OrtuneError for anything wrong with options, data or weights, before training starts
 */
export function fit({ onEvent, signal, ...options }: FitOptions): Run<FitResult> {
  return startRun({ onEvent, signal }, (context) => fitWithin(options, context));
}

async function fitWithin(options: Omit<FitOptions, keyof RunOptions>, context: RunContext): Promise<FitResult> {
  const settings = { ...FIT_DEFAULTS, ...options };
  const { data, out, seed, split, onBadImage } = settings;
  const { emit, signal } = context;
  const [head, served] = [join(out, 'pretrain_model'), join(out, 'infer_model')];
  for (const folder of [head, served]) await checkOutputFolder(folder, data);
  const recipe = typeof settings.recipe === 'string' ? await loadRecipe(settings.recipe) : settings.recipe;
  const chosen = await chooseDevice(settings.device, settings.cuda);

  emit({ type: 'phase', phase: 'check', text: '1. Looking the pictures over' });
  const ownSplit = split ?? recipe.split;
  const parts = { seed, ...(ownSplit !== undefined && { split: ownSplit }) };
  const report = await checkData(data, {
    ...parts,
    signal,
    onEvent: ({ task, done, total }) =>
      emit({ type: 'progress', task: task === 'pictures' ? 'check' : task, done, total }),
  });
  emit({ type: 'data-report', report });
  const badImages = badImagesOf(report);
  const { train, valid, test } = report.parts;
  if (badImages.length > 0 && onBadImage === 'stop') throw badImagesError(badImages, train + valid + test);

  emit({ type: 'phase', phase: 'network', text: '2. Building the network' });
  const weights = settings.weights ?? (await fetchWeights(context));
  const network = {
    ...recipe.network,
    ...(weights !== 'none' && (await shapeOf(weights))),
    imageSize: settings.imageSize ?? recipe.network?.imageSize ?? chooseImageSize(chosen.device, shortSideOf(report)),
    inputNorm: settings.inputNorm ?? recipe.network?.inputNorm ?? RESNET_DEFAULTS.inputNorm,
    strideIn: settings.strideIn ?? recipe.network?.strideIn ?? RESNET_DEFAULTS.strideIn,
    classes: report.classes.length,
    seed,
  };
  const { kernels, memoryLimit } = settings;
  await requireFitMemory({ recipe, network, weights, chosen, kernels, memoryLimit, pictures: report.parts, emit });
  const graph = join(out, 'graph.onnx');
  await buildGraph({ ...network, out: graph });
  const { depth, width, imageSize } = { ...RESNET_DEFAULTS, ...network };
  emit({ type: 'note', text: `ResNet${depth}, width ${width}, ${imageSize} px, weights: ${weights}` });

  const { device, cuda, threads, onNan } = settings;
  const common = {
    data,
    ...parts,
    device,
    onBadImage,
    ...(cuda && { cuda }),
    ...(threads !== undefined && { threads }),
    ...(kernels && { kernels }),
    ...(memoryLimit !== undefined && { memoryLimit }),
    ...(onNan && { onNan }),
  };
  const checked = { ...context, dataReport: report };
  const goesOn = { head: settings.resume && (await isKept(head)), whole: settings.resume && (await isKept(served)) };
  if (settings.resume && !goesOn.head && !goesOn.whole) {
    emit({ type: 'note', text: `nothing was kept of a run in ${out}: this one begins at the start` });
  }
  let stageOne: StageResult | undefined;
  if (!goesOn.whole) {
    emit({ type: 'phase', phase: 'pretrain', text: '3. Stage one: a new head on the pretrained network' });
    const options = { ...recipe.pretrain, ...common, weights, graph, out: head, resume: goesOn.head };
    stageOne = await trainHead(options, checked);
  }

  const passes = settings.passes ?? choosePasses(chosen.device, train);
  emit({ type: 'phase', phase: 'finetune', text: `4. Stage two: the whole network, ${passes} passes` });
  const stageTwo = { ...recipe.finetune, ...common, passes, from: head, out: served, resume: goesOn.whole };
  const result = await trainWhole(stageTwo, checked);
  const [before, after] = [stageOne?.evaluation?.top1, result.evaluation?.top1];
  if (typeof before === 'number' && typeof after === 'number' && after < before) {
    const share = (value: number) => `${(100 * value).toFixed(1)} %`;
    const text = `stage two ended at ${share(after)}, below the ${share(before)} of stage one: more passes would help (--passes).`;
    emit({ type: 'note', text });
  }
  return { ...result, dataReport: report };
}

/** The network that weights are of. @throws OrtuneError as `openWeights` */
async function shapeOf(weights: string): Promise<ReturnType<typeof networkOf>> {
  const file = await openWeights(weights);
  try {
    return networkOf(file);
  } finally {
    await file.close();
  }
}

const shortSideOf = ({ width, height }: DataReport): number | undefined =>
  width && height && Math.min(width.median, height.median);
