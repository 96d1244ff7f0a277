/** A process of its own: trains native layers on batches of the sizes that are its arguments, and says so before each. */
import { writeSync } from 'node:fs';
import { wholeNetwork } from '../../onnx/index.ts';
import { openTraining } from '../../src/training/session.ts';
import { batchFor, feeds, SGD } from './gradients.ts';
import { basicBlocks, tinyNet } from './tiny-nets.ts';

const model = tinyNet(basicBlocks, { channels: 3, height: 12, width: 10 }, 'pool');
await using training = await openTraining(model, wholeNetwork(model, 'live', SGD), {
  device: 'cpu',
  threads: 1,
  kernels: 'native',
  layers: 'native',
});
for (const size of process.argv.slice(2)) {
  // oneDNN's own lines go to the same place at once.
  writeSync(1, `batch of ${size}\n`);
  await training.stepper.step(feeds(batchFor(model, Number(size))), { share: 1, last: true });
}
