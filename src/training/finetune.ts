import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeModelChunks, extract, PROBABILITIES, withInitializers } from '../../onnx/index.ts';
import { withClassifierMetadata } from '../inference/index.ts';
import { withFinalTest } from './final-test.ts';
import { FINETUNE_DEFAULTS, type FinetuneOptions } from './options.ts';
import { checkOutputFolder, replaceFolder } from './output-folder.ts';
import { runPasses } from './passes.ts';
import type { StageResult } from './pretrain.ts';
import { saveRecord } from './save.ts';
import { trainedValues } from './session.ts';
import { openStageTwo } from './stage-two.ts';
import { requireFiniteValues } from './test-pass.ts';

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
  const { data, out = FINETUNE_DEFAULTS.out } = options;
  await checkOutputFolder(out, data);
  await using stage = await openStageTwo(options);
  const { settings, model, evaluated, plan, moved, dataset, testTransform, device, training, source, emit } = stage;
  const weights = plan.loss?.softLabels ? undefined : plan.loss?.classWeights;
  const weightOf = weights && ((label: number) => weights[label] ?? 0);
  const passes = { ...settings, weightOf, classes: dataset.classes, emit, signal: options.signal };
  const values = () => trainedValues(training.state, plan, moved);
  const result = await withFinalTest(await runPasses(training, source, { ...passes, values }), {
    model,
    evaluated,
    plan,
    device,
    source,
    options: passes,
  });

  requireFiniteValues(result.values);
  const trained = extract(withInitializers(evaluated, result.values), [], [PROBABILITIES]);
  await replaceFolder(settings.out, async (folder) => {
    const served = withClassifierMetadata(trained, { classes: dataset.classes, transform: testTransform });
    await writeFile(join(folder, 'model.onnx'), encodeModelChunks(served));
    await training.state.save(join(folder, 'checkpoint'), { includeOptimizerState: true });
    await saveRecord(folder, {
      command: 'finetune',
      options: settings,
      device,
      network: stage.network,
      dataset,
      splitSeed: stage.splitSeed,
      ...result,
      started,
    });
  });
  emit({ type: 'saved', folder: settings.out, seconds: (Date.now() - started.getTime()) / 1000 });
  return { folder: settings.out, classes: dataset.classes, history: result.history };
}
