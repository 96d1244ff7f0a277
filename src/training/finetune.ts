import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  atImageSize,
  encodeModelChunks,
  extract,
  movedStatistics,
  PROBABILITIES,
  withInitializers,
} from '../../onnx/index.ts';
import { OrtuneError } from '../errors.ts';
import { parseClassNames, withClassifierMetadata } from '../inference/index.ts';
import { chooseDevice } from './device.ts';
import type { Emit } from './events.ts';
import { checkStageOptions, FINETUNE_DEFAULTS, type FinetuneOptions } from './options.ts';
import { checkOutputFolder, parentOf, RUN_FILE, replaceFolder } from './output-folder.ts';
import { runPasses } from './passes.ts';
import { mixes, pictureSource, testTransformOf } from './picture-source.ts';
import { planOf } from './plan.ts';
import { checkPictures, openData, readNetwork } from './prepare.ts';
import type { StageResult } from './pretrain.ts';
import { LABELS_FILE, saveRecord } from './save.ts';
import { needsConstantShape, openTraining, sessionDevice, trainedValues } from './session.ts';

/**
 * Stage two: trains the whole network that stage one left, head and all, or the parts of it that `train` names.
 *
 * The folder `out` then holds `model.onnx` (cropped uint8 pixels in, probabilities out, class names and sizes in its
 * metadata), `labels.json`, `checkpoint` and `run.json`.
 *
 * @throws OrtuneError for anything wrong with options, data or the stage-one folder, before training starts
 */
export async function finetune(options: FinetuneOptions): Promise<StageResult> {
  const started = new Date();
  const { onEvent, signal, ...given } = options;
  const settings = { ...FINETUNE_DEFAULTS, ...given };
  const emit: Emit = onEvent ?? (() => {});
  checkStageOptions(settings);
  await checkOutputFolder(settings.out, settings.data);
  const { model, network } = await readNetwork(
    join(settings.from, 'graph.onnx'),
    'Run npm run pretrain first, or name its folder with --from.',
  );
  const chosen = await chooseDevice(settings.device, settings.cuda);
  if (settings.precision === 'fp16' && chosen.device === 'cpu') {
    throw new OrtuneError(
      'OPTION',
      `--precision fp16: expected a GPU, received the CPU, which has no half precision (${chosen.reason}).`,
    );
  }
  const labels = await readLabels(join(settings.from, LABELS_FILE));
  // Stage one's own parts, or pictures that it trained on would be tested on.
  const partition = settings.split === undefined ? await partitionOf(join(settings.from, RUN_FILE)) : {};
  const drawn = { ...settings, ...partition };
  const found = await openData({ ...drawn, emit, expectedClasses: labels });
  const dataset = await checkPictures(found, { ...settings, emit, signal });

  const softLabels = mixes(settings.augment);
  const plan = planOf(model, settings, { labels: dataset.train.map(({ label }) => label), softLabels });
  const testTransform = testTransformOf(network.imageSize, settings);
  const evaluated = atImageSize(model, testTransform.imageSize);
  const device = sessionDevice(chosen, { ...settings, emit });
  await using training = await openTraining(model, plan, device, evaluated);
  const moved = movedStatistics(model.graph, plan);
  await using source = pictureSource(dataset, {
    ...settings,
    imageSize: network.imageSize,
    testTransform,
    constantShape: needsConstantShape(device),
    liveBatchNorm: moved.size > 0,
    cacheFolder: await parentOf(settings.out),
    signal,
  });
  const result = await runPasses(training, source, {
    ...settings,
    classes: dataset.classes,
    values: () => trainedValues(training.state, plan, moved),
    emit,
    signal,
  });

  const trained = extract(withInitializers(evaluated, result.values), [], [PROBABILITIES]);
  await replaceFolder(settings.out, async (folder) => {
    const served = withClassifierMetadata(trained, { classes: dataset.classes, transform: testTransform });
    await writeFile(join(folder, 'model.onnx'), encodeModelChunks(served));
    await training.state.save(join(folder, 'checkpoint'), { includeOptimizerState: true });
    await saveRecord(folder, {
      command: 'finetune',
      options: settings,
      device,
      network,
      dataset,
      splitSeed: drawn.seed,
      ...result,
      started,
    });
  });
  emit({ type: 'saved', folder: settings.out, seconds: (Date.now() - started.getTime()) / 1000 });
  return { folder: settings.out, classes: dataset.classes, history: result.history };
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

/** The split that stage one was told to make, and the seed that it was drawn by. */
async function partitionOf(file: string): Promise<{ split?: string; seed?: number }> {
  const { options } = await readRun(file);
  return {
    ...(typeof options['split'] === 'string' && { split: options['split'] }),
    ...(typeof options['seed'] === 'number' && { seed: options['seed'] }),
  };
}

async function readRun(file: string): Promise<{ options: Record<string, unknown> }> {
  try {
    const run: unknown = JSON.parse(await readFile(file, 'utf8'));
    if (typeof run === 'object' && run !== null && 'options' in run && typeof run.options === 'object' && run.options) {
      return { options: run.options as Record<string, unknown> };
    }
  } catch (error) {
    throw new OrtuneError(
      'STAGE_ONE',
      `expected stage one's record in ${file}, but it cannot be read: ${String(error)}`,
    );
  }
  throw new OrtuneError('STAGE_ONE', `${file}: expected the record of a run with its options.`);
}
