/**
 * A training loop of one's own below the stages: `custom-loop.ts photos`. Builds a small ResNet, writes its training artifacts
 * and steps through the pictures itself.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  buildArtifacts,
  buildResNet,
  CheckpointState,
  openDataset,
  readSample,
  type Sample,
  type Tensors,
  TrainingSession,
  wholeNetwork,
} from 'ortune';
import sharp from 'sharp';

const [data = 'photos'] = process.argv.slice(2);
const [side, batchSize, passes, folder] = [32, 8, 3, 'artifacts'];

const { classes, train, test } = await openDataset(data);
const model = buildResNet({ width: 0.25, classes: classes.length, imageSize: side });
const adam = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
const { trainingModel, evalModel, optimizerModel, checkpoint } = buildArtifacts(
  model,
  wholeNetwork(model, 'live', adam),
);

await mkdir(folder, { recursive: true });
const path = (name: string) => join(folder, name);
await writeFile(path('training_model.onnx'), trainingModel);
await writeFile(path('eval_model.onnx'), evalModel);
await writeFile(path('optimizer_model.onnx'), optimizerModel);

const state = await CheckpointState.load(checkpoint);
await using session = await TrainingSession.create({
  checkpointState: state,
  trainModel: path('training_model.onnx'),
  evalModel: path('eval_model.onnx'),
  optimizerModel: path('optimizer_model.onnx'),
});
await session.setLearningRate(1e-3);

/** Pixels as they are: the network scales them itself. */
async function load(samples: readonly Sample[]): Promise<Tensors> {
  const pixels = await Promise.all(
    samples.map(async (sample) =>
      sharp(await readSample(sample))
        .resize(side, side, { fit: 'cover' })
        .toColourspace('srgb')
        .removeAlpha()
        .raw()
        .toBuffer(),
    ),
  );
  return {
    image: { type: 'uint8', dims: [samples.length, side, side, 3], data: new Uint8Array(Buffer.concat(pixels)) },
    label: { type: 'int64', dims: [samples.length], data: BigInt64Array.from(samples, ({ label }) => BigInt(label)) },
  };
}

const lossOf = (outputs: Tensors) => Number(outputs['loss']?.data[0]);

for (let pass = 0; pass < passes; pass++) {
  const shuffled = train
    .map((sample) => ({ sample, key: Math.random() }))
    .sort((a, b) => a.key - b.key)
    .map(({ sample }) => sample);
  let loss = 0;
  // The last batch is left out where it is not whole.
  for (let start = 0; start + batchSize <= shuffled.length; start += batchSize) {
    await session.lazyResetGrad();
    const outputs = await session.trainStep(await load(shuffled.slice(start, start + batchSize)));
    await session.optimizerStep();
    loss = lossOf(outputs);
  }
  console.log(`pass ${pass}: loss ${loss.toFixed(3)}`);
}

const unseen = lossOf(await session.evalStep(await load(test)));
console.log(`on unseen pictures: loss ${unseen.toFixed(3)}`);
await session.exportModelForInferencing(path('model.onnx'), ['logits']);
await state.save(path('checkpoint'));
