import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  ADAM_DEFAULTS,
  atImageSize,
  bytesOf,
  encodeModelChunks,
  floatsOf,
  HEAD_PARAMETERS,
  headOnly,
  type Model,
  parametersOf,
  withInitializers,
} from '../../onnx/index.ts';
import { OrtuneError } from '../errors.ts';
import { withClassifierMetadata } from '../inference/index.ts';
import type { EvaluationResult } from '../metrics/index.ts';
import { writeReport } from '../report-html/index.ts';
import type { CheckpointState } from '../runtime/index.ts';
import { loadWeights, openWeights, writePaddleFolder } from '../weights/index.ts';
import { anyLive, batchNormModes } from './batch-norm.ts';
import { requireMemory } from './check-memory.ts';
import { chooseDevice } from './device.ts';
import type { Emit } from './events.ts';
import { requireFiniteValues } from './finite.ts';
import { type Stage, trainOnFeatures, trainOnPictures } from './head-training.ts';
import { openProgress } from './keep.ts';
import { chooseKernels, STOCK_KERNELS } from './kernels.ts';
import { checkStageOptions, PRETRAIN_DEFAULTS, type PretrainOptions } from './options.ts';
import { checkOutputFolder, parentOf, replaceFolder } from './output-folder.ts';
import type { PassesResult, PassResult } from './passes.ts';
import { mixes } from './picture-source.ts';
import { checkPictures, openData, readNetwork, requireWatched } from './prepare.ts';
import { type Run, type RunContext, type RunOptions, startRun } from './run.ts';
import { saveRecord } from './save.ts';
import { needsConstantShape, sessionDevice } from './session.ts';
import { headMemory, picturesOf } from './stage-memory.ts';
import { testTransformOf } from './test-size.ts';

/** What a stage leaves. */
export interface StageResult {
  /** Folder of the results. */
  readonly folder: string;
  readonly classes: readonly string[];
  readonly history: readonly PassResult[];
  /** The result's test; absent where none was asked for. */
  readonly evaluation: EvaluationResult | undefined;
}

/**
 * Stage one: puts pretrained weights into the network by name and trains its new head.
 *
 * With frozen BatchNorm (the default) the backbone is a fixed function, and its features of each picture's centre crop
 * are computed once. With live BatchNorm, the tutorial's way, the head trains on augmented pictures while the running
 * statistics follow the new data.
 *
 * The folder `out` then holds `graph.onnx` with the trained values, `checkpoint`, `labels.json` and `run.json`.
 *
 * @throws OrtuneError for anything wrong with options, data or weights, and for too little memory, before training starts
 */
export function pretrain({ onEvent, signal, ...options }: PretrainOptions): Run<StageResult> {
  return startRun({ onEvent, signal }, (context) => trainHead(options, context));
}

/** Stage one as part of a run. */
export async function trainHead(
  { resume = false, recordEvery, memoryLimit, ...options }: Omit<PretrainOptions, keyof RunOptions>,
  context: RunContext,
): Promise<StageResult> {
  const started = new Date();
  const { emit, signal } = context;
  const settings = { ...PRETRAIN_DEFAULTS, ...options };
  checkStageOptions('pretrain', { ...settings, memoryLimit });
  await checkOutputFolder(settings.out, settings.data);
  const { model: initial, network } = await readNetwork(settings.graph, 'Build one with npx ortune build-graph.');
  const chosen = await chooseDevice(settings.device, settings.cuda);
  const kernels = chooseKernels(settings.kernels, chosen);
  const modes = batchNormModes(initial, settings.batchNorm);
  const liveBatchNorm = anyLive(modes);
  checkAgainstFeatures(settings, liveBatchNorm);
  const testTransform = testTransformOf(network.imageSize, settings);
  const found = await openData({ ...settings, emit, signal, expectedClasses: network.classes });
  requireWatched(found, settings.watch);
  const size = { network, chosen: kernels, device: chosen.device, pictures: picturesOf(found) };
  const cacheBytes = await requireMemory(headMemory(settings, { ...size, memoryLimit, by: 'flags', emit }));
  const pretrained = await withPretrainedWeights(initial, settings, emit);
  const dataset = await checkPictures(found, { ...settings, ...context });
  const model = withClassifierMetadata(pretrained, { classes: dataset.classes, transform: testTransform });

  const plan = {
    ...headOnly((node) => modes.get(node) ?? 'frozen', ADAM_DEFAULTS),
    loss: { labelSmoothing: settings.labelSmoothing, softLabels: liveBatchNorm && mixes(settings.augment) },
  };
  // A head on features has no layers below it.
  const own = liveBatchNorm ? kernels : STOCK_KERNELS;
  const device = sessionDevice(chosen, { ...settings, chosen: own, plan, emit });
  const write = async (folder: string, trained: PassesResult, state: CheckpointState) => {
    await checkOutputFolder(folder, settings.data);
    requireFiniteValues(trained.values);
    const result = withInitializers(model, trained.values);
    await replaceFolder(folder, async (staging) => {
      await writeFile(join(staging, 'graph.onnx'), encodeModelChunks(result));
      await state.save(join(staging, 'checkpoint'), { includeOptimizerState: true });
      if (settings.savePaddle) await writePaddleFolder(join(staging, 'paddle'), paddleVariables(result));
      await saveRecord(staging, {
        command: 'pretrain',
        options: settings,
        device,
        network,
        dataset,
        splitSeed: settings.seed,
        ...trained,
        started,
      });
      await writeReport(staging, { dataset, ...(context.dataReport && { checkFindings: context.dataReport }) });
    });
  };
  const { graph, weights } = settings;
  const isFile = weights !== 'none' && (await stat(weights)).isFile();
  const kept = {
    command: 'pretrain',
    settings,
    network,
    graph,
    dataset,
    splitSeed: settings.seed,
    device,
    emit,
  } as const;
  await using progress = await openProgress(
    { ...kept, ...(isFile && { weights }) },
    { resume, ...(recordEvery !== undefined && { recordEvery }) },
  );
  const stage: Stage = {
    model,
    evaluated: atImageSize(model, testTransform.imageSize),
    plan,
    dataset,
    device,
    options: {
      ...settings,
      imageSize: network.imageSize,
      testTransform,
      constantShape: needsConstantShape(device),
      liveBatchNorm,
      cacheFolder: await parentOf(settings.out),
      cacheBytes,
      classes: dataset.classes,
      accumulate: 1,
      ...context,
      save: write,
      progress,
    },
  };
  emit({
    type: 'start',
    stage: 'pretrain',
    passes: settings.optimizer === 'lbfgs' ? 1 : settings.passes,
    trainSize: dataset.train.length,
    batchSize: settings.batchSize,
    augment: liveBatchNorm && settings.augment,
    seed: settings.seed,
  });
  await using trained = await (liveBatchNorm ? trainOnPictures(stage) : trainOnFeatures(stage));
  await write(settings.out, trained, trained.state);
  await progress.finish();
  emit({ type: 'saved', folder: settings.out, seconds: (Date.now() - started.getTime()) / 1000 });
  return { folder: settings.out, classes: dataset.classes, history: trained.history, evaluation: trained.evaluation };
}

/** What makes no sense with frozen features, or without them. @throws OrtuneError `OPTION` */
function checkAgainstFeatures(
  { optimizer, augment, watch }: Pick<PretrainOptions, 'optimizer' | 'augment' | 'watch'>,
  liveBatchNorm: boolean,
): void {
  const fail = (message: string) => {
    throw new OrtuneError('OPTION', message);
  };
  if (optimizer === 'lbfgs' && liveBatchNorm) {
    fail('--optimizer lbfgs: expected features that stay the same, received live BatchNorm.');
  }
  if (optimizer === 'lbfgs' && watch === 'valid') {
    fail('--watch valid: expected passes to be compared, but lbfgs makes none; it holds pictures out by itself.');
  }
  if (typeof augment === 'object' && !liveBatchNorm) {
    fail(
      `augmentation (${Object.keys(augment).join(', ')}): expected with --bn live, received features that are computed once.`,
    );
  }
}

async function withPretrainedWeights(
  model: Model,
  { weights, allowMissing }: { weights: string; allowMissing: readonly string[] },
  emit: Emit,
): Promise<Model> {
  if (weights === 'none') return model;
  const file = await openWeights(weights);
  try {
    const { values, report } = await loadWeights(file, parametersOf(model.graph), {
      head: HEAD_PARAMETERS,
      allowMissing,
    });
    emit({ type: 'weights', report });
    return withInitializers(model, new Map([...values].map(([name, data]) => [name, bytesOf(data)])));
  } finally {
    await file.close();
  }
}

function* paddleVariables(model: Model) {
  for (const parameter of parametersOf(model.graph)) {
    yield { name: parameter.name, dims: parameter.dims, data: floatsOf(parameter) };
  }
}
