import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeModelChunks, extract, PROBABILITIES, withActivationMaps, withInitializers } from '../../onnx/index.ts';
import type { DataReport } from '../check-data/index.ts';
import { modelCard, withClassifierMetadata, withModelCard } from '../inference/index.ts';
import { writeReport } from '../report-html/index.ts';
import { withFinalTest } from './final-test.ts';
import { requireFiniteValues } from './finite.ts';
import { FINETUNE_DEFAULTS, type FinetuneOptions } from './options.ts';
import { checkOutputFolder, replaceFolder } from './output-folder.ts';
import { type PassesResult, runPasses } from './passes.ts';
import type { StageResult } from './pretrain.ts';
import { type Run, type RunContext, type RunOptions, startRun } from './run.ts';
import { saveRecord } from './save.ts';
import { trainedValues } from './session.ts';
import { openStageTwo, type StageTwo } from './stage-two.ts';

/**
 * Stage two: trains the whole network that stage one left, head and all, or the parts of it that `train` names.
 *
 * The folder `out` then holds `model.onnx` (cropped uint8 pixels in, probabilities out, class names and sizes in its
 * metadata), `labels.json`, `checkpoint` and `run.json`.
 *
 * @throws OrtuneError for anything wrong with options, data or the stage-one folder, before training starts
 */
export function finetune({ onEvent, signal, ...options }: FinetuneOptions): Run<StageResult> {
  return startRun({ onEvent, signal }, (context) => trainWhole(options, context));
}

/** Stage two as part of a run. */
export async function trainWhole(
  { resume = false, recordEvery, ...options }: Omit<FinetuneOptions, keyof RunOptions>,
  context: RunContext,
): Promise<StageResult> {
  const started = new Date();
  const { emit } = context;
  const { data, out = FINETUNE_DEFAULTS.out } = options;
  await checkOutputFolder(out, data);
  const keep = { resume, ...(recordEvery !== undefined && { recordEvery }) };
  await using stage = await openStageTwo(options, context, keep);
  const { settings, model, evaluated, plan, moved, dataset, device, training, source, progress } = stage;
  const weights = plan.loss?.softLabels ? undefined : plan.loss?.classWeights;
  const weightOf = weights && ((label: number) => weights[label] ?? 0);
  const write = async (folder: string, result: PassesResult) => {
    await checkOutputFolder(folder, data);
    await writeResult(folder, result, stage, { started, dataReport: context.dataReport });
  };
  const passes = { ...settings, ...context, weightOf, classes: dataset.classes, save: write };
  const keeper = progress?.keeper((path) => training.state.save(path, { includeOptimizerState: true }));
  const values = () => trainedValues(training.state, plan, moved);
  const { trainSize, batchSize } = source;
  const { augment, seed } = settings;
  emit({ type: 'start', stage: 'finetune', passes: settings.passes, trainSize, batchSize, augment, seed });
  const result = await withFinalTest(await runPasses(training, source, { ...passes, values, keeper }), {
    model,
    evaluated,
    plan,
    device,
    source,
    options: passes,
  });
  await write(settings.out, result);
  await progress?.finish();
  emit({ type: 'saved', folder: settings.out, seconds: (Date.now() - started.getTime()) / 1000 });
  return { folder: settings.out, classes: dataset.classes, history: result.history, evaluation: result.evaluation };
}

async function writeResult(
  out: string,
  result: PassesResult,
  { settings, network, evaluated, dataset, splitSeed, testTransform, device, training }: StageTwo,
  { started, dataReport }: { started: Date; dataReport: DataReport | undefined },
): Promise<void> {
  requireFiniteValues(result.values);
  const trained = withActivationMaps(extract(withInitializers(evaluated, result.values), [], [PROBABILITIES]));
  await replaceFolder(out, async (folder) => {
    const served = withClassifierMetadata(trained, { classes: dataset.classes, transform: testTransform });
    const card = modelCard({ ...result, settings, network, dataset, splitSeed, transform: testTransform });
    await writeFile(join(folder, 'model.onnx'), encodeModelChunks(withModelCard(served, card)));
    await training.state.save(join(folder, 'checkpoint'), { includeOptimizerState: true });
    await saveRecord(folder, {
      command: 'finetune',
      options: settings,
      device,
      network,
      dataset,
      splitSeed,
      ...result,
      started,
    });
    await writeReport(folder, { dataset, ...(dataReport && { checkFindings: dataReport }) });
  });
}
