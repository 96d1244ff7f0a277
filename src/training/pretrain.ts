import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  ADAM_DEFAULTS,
  bytesOf,
  encodeModelChunks,
  extract,
  FEATURES,
  floatsOf,
  HEAD_PARAMETERS,
  headOnly,
  LOGITS,
  type Model,
  movedStatistics,
  parametersOf,
  withInitializers,
} from '../../onnx/index.ts';
import { type Dataset, imageTransform } from '../data/index.ts';
import { withClassifierMetadata } from '../inference/index.ts';
import { loadWeights, openWeights, writePaddleFolder } from '../weights/index.ts';
import { openBackbone } from './backbone.ts';
import { anyLive, batchNormModes } from './batch-norm.ts';
import { chooseDevice } from './device.ts';
import type { Emit } from './events.ts';
import { type FeatureOptions, featureSource } from './feature-source.ts';
import { checkStageOptions, PRETRAIN_DEFAULTS, type PretrainOptions } from './options.ts';
import { checkOutputFolder, replaceFolder } from './output-folder.ts';
import { type PassResult, runPasses } from './passes.ts';
import { pictureSource } from './picture-source.ts';
import { checkPictures, openData, readNetwork } from './prepare.ts';
import { saveRecord } from './save.ts';
import { openTraining, parameterBytes, type SessionDevice } from './session.ts';

/** What a stage leaves. */
export interface StageResult {
  /** Folder of the results. */
  readonly folder: string;
  readonly classes: readonly string[];
  readonly history: readonly PassResult[];
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
 * @throws OrtuneError for anything wrong with options, data or weights, before training starts
 */
export async function pretrain(options: PretrainOptions): Promise<StageResult> {
  const started = new Date();
  const { onEvent, signal, ...given } = options;
  const settings = { ...PRETRAIN_DEFAULTS, ...given };
  const emit: Emit = onEvent ?? (() => {});
  checkStageOptions(settings);
  await checkOutputFolder(settings.out, settings.data);
  const { model: initial, network } = await readNetwork(settings.graph, 'Build one with npm run build-graph.');
  const device = await chooseDevice(settings.device, settings.cuda);
  const found = await openData({ ...settings, emit, expectedClasses: network.classes });
  const pretrained = await withPretrainedWeights(initial, settings, emit);
  const dataset = await checkPictures(found, { ...settings, emit, signal });
  const transform = imageTransform(network.imageSize);
  const model = withClassifierMetadata(pretrained, { classes: dataset.classes, transform });

  const modes = batchNormModes(model, settings.batchNorm);
  const plan = headOnly((node) => modes.get(node) ?? 'frozen', ADAM_DEFAULTS);
  const liveBatchNorm = anyLive(modes);
  const frozen = !liveBatchNorm;
  await using training = await openTraining(frozen ? extract(model, [FEATURES], [LOGITS]) : model, plan, {
    ...settings,
    ...device,
    emit,
  });
  const { constantShape } = training;
  const sourceOptions = { ...settings, imageSize: network.imageSize, constantShape, liveBatchNorm, emit, signal };
  const source = frozen
    ? await frozenSource(model, dataset, { ...sourceOptions, device: training.device })
    : pictureSource(dataset, sourceOptions);
  const history = await runPasses(training, source, { ...settings, accumulate: 1, emit, signal });

  const moved = movedStatistics(model.graph, plan);
  const trained = withInitializers(model, await parameterBytes(training.state, [...HEAD_PARAMETERS, ...moved]));
  await replaceFolder(settings.out, async (folder) => {
    await writeFile(join(folder, 'graph.onnx'), encodeModelChunks(trained));
    await training.state.save(join(folder, 'checkpoint'), { includeOptimizerState: true });
    if (settings.savePaddle) await writePaddleFolder(join(folder, 'paddle'), paddleVariables(trained));
    await saveRecord(folder, {
      command: 'pretrain',
      options: settings,
      device: training.device,
      network,
      dataset,
      history,
      started,
    });
  });
  emit({ type: 'saved', folder: settings.out, seconds: (Date.now() - started.getTime()) / 1000 });
  return { folder: settings.out, classes: dataset.classes, history };
}

async function frozenSource(model: Model, dataset: Dataset, options: FeatureOptions & { device: SessionDevice }) {
  await using backbone = await openBackbone(model, options.device);
  // Awaited here: the backbone goes when this function returns.
  return await featureSource(backbone, dataset, options);
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
