/**
 * The two stages by themselves, with a say in both: `train-from-folder.ts photos resnet50-0676ba61.pth [IMAGE-SIZE]`.
 * `photos` holds a folder per class.
 */
import { writeFile } from 'node:fs/promises';
import { buildResNet, encodeModel, finetune, openDataset, pretrain, type TrainingEvent } from 'ortune';

const [data = 'photos', weights = 'none', imageSize = '128'] = process.argv.slice(2);

const { classes } = await openDataset(data);
const graph = 'graph.onnx';
await writeFile(graph, encodeModel(buildResNet({ classes: classes.length, imageSize: Number(imageSize) })));

function tell(event: TrainingEvent): void {
  if (event.type === 'start') console.log(`${event.stage}: ${event.trainSize} pictures, ${event.passes} passes`);
  if (event.type === 'pass') console.log(`pass ${event.pass}: cost ${event.cost.toFixed(3)}`);
  if (event.type === 'test') console.log(`  on unseen pictures: ${(event.accuracy * 100).toFixed(1)} % right`);
}

// Ctrl-C ends a run between two steps, and leaves older results as they were.
const controller = new AbortController();
process.once('SIGINT', () => controller.abort(new Error('stopped')));
const { signal } = controller;

await pretrain({ data, weights, graph, passes: 1, out: 'pretrain_model', onEvent: tell, signal });
await finetune({
  data,
  from: 'pretrain_model',
  passes: 2,
  out: 'infer_model',
  signal,
  onEvent: (event, control) => {
    tell(event);
    // As good as it gets: the rest of the passes is not needed.
    if (event.type === 'test' && event.accuracy === 1) control.stop();
  },
});
console.log('infer_model/model.onnx');
