/**
 * `npm run demo`: the whole job for someone with nothing at hand. Draws pictures of flowers, trains on some of them from
 * seeded noise, and names the others.
 */
import { rm } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { buildResNet, encodeModel } from '../onnx/index.ts';
import { runStage } from '../src/cli/stage.ts';
import { openDataset } from '../src/data/index.ts';
import { Classifier } from '../src/inference/index.ts';
import { finetune, pretrain } from '../src/training/index.ts';
import { writeFiles } from '../src/write-files.ts';
import { drawFlowers, FLOWER_CLASSES } from './demo/flowers.ts';

const FOLDER = 'models/demo';
const SEED = 0;
/** Side that the network sees. Small, because a ResNet50 that learns from nothing needs a few hundred steps. */
const IMAGE_SIZE = 64;
const PICTURES_PER_CLASS = 160;
const HEAD_PASSES = 1;
const PASSES = 5;

const file = (name: string) => join(FOLDER, name);
const say = (text: string) => console.log(`\n${text}`);
const started = performance.now();

say(`1. Drawing ${PICTURES_PER_CLASS} pictures each of ${FLOWER_CLASSES.join(', ')}`);
await rm(FOLDER, { recursive: true, force: true });
await drawFlowers(file('pictures'), { perClass: PICTURES_PER_CLASS, size: 96, seed: SEED });

say('2. Building ResNet50 as an ONNX graph (npx ortune build-graph)');
const model = buildResNet({ classes: FLOWER_CLASSES.length, imageSize: IMAGE_SIZE, seed: SEED });
await writeFiles(FOLDER, { [file('graph.onnx')]: encodeModel(model) });

const common = { data: file('pictures'), seed: SEED };
say('3. Stage one: the head alone (npx ortune pretrain); on seeded noise there is little for it to use yet');
await runStage({}, (hooks) =>
  pretrain({
    ...common,
    ...hooks,
    weights: 'none',
    graph: file('graph.onnx'),
    passes: HEAD_PASSES,
    out: file('pretrain_model'),
  }),
);

say('4. Stage two: the whole network (npx ortune finetune)');
let accuracy = 0;
await runStage({}, async (hooks) => {
  const { history } = await finetune({
    ...common,
    ...hooks,
    from: file('pretrain_model'),
    passes: PASSES,
    learningRate: 5e-4,
    out: file('infer_model'),
  });
  accuracy = history.at(-1)?.testAccuracy ?? 0;
});

say('5. Naming pictures that it has not seen (npx ortune predict)');
const { test, classes } = await openDataset(common.data, common);
{
  await using classifier = await Classifier.load(file('infer_model'));
  for (const label of classes.keys()) {
    const sample = test.find((candidate) => candidate.label === label);
    if (!sample) continue;
    const [best] = await classifier.predict(sample.file, { top: 1 });
    console.log(`${relative('.', sample.file)}: ${best?.label} ${((best?.probability ?? 0) * 100).toFixed(1)} %`);
  }
}

say(`Done in ${((performance.now() - started) / 60_000).toFixed(1)} minutes: ${(accuracy * 100).toFixed(1)} % of ${test.length} unseen pictures right.
The model is ${file('infer_model/model.onnx')}; any ONNX Runtime serves it.

Your own pictures, in a folder per class, and real pretrained weights (torchvision's resnet50 .pth, say) do far better:
  npx ortune build-graph --classes 5
  npx ortune pretrain --data photos --weights resnet50-0676ba61.pth
  npx ortune finetune --data photos
  npx ortune predict some-photo.jpg`);
if (!(accuracy > 0.9)) {
  console.error(`Error: expected the demo to end above 90 %, but it ended at ${(accuracy * 100).toFixed(1)} %.`);
  process.exitCode = 1;
}
