/** Trains a ResNet on noise, some steps for each line that asks for them, and tells how long they took. See step.ts. */
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { buildResNet, IMAGE, LABEL, type ResNetOptions } from '../../onnx/index.ts';
import { Random } from '../../src/random.ts';
import { FINETUNE_DEFAULTS } from '../../src/training/options.ts';
import { planOf } from '../../src/training/plan.ts';
import { openTraining } from '../../src/training/session.ts';

const settings = process.argv.slice(2, 7).map(Number) as [number, number, number, number, number];
const [depth, side, size, threads, width] = settings;
const kind = process.argv[7];
const precision = process.argv[8] === 'bf16' ? 'bf16' : 'fp32';
const kernels = kind === 'stock' ? 'stock' : 'native';
const model = buildResNet({ depth: depth as ResNetOptions['depth'], width, imageSize: side, classes: 102 });
const plan = planOf(model, { ...FINETUNE_DEFAULTS, precision }, { labels: [], softLabels: false, kernels });
const device = { device: 'cpu', threads, kernels, layers: kernels, exact: kind === 'exact' } as const;
const { stepper } = await openTraining(model, plan, device);
await stepper.setLearningRate(1e-4);
const random = new Random(0, 'bench');
const pixels = Uint8Array.from({ length: size * side * side * 3 }, () => random.integer(256));
const labels = BigInt64Array.from({ length: size }, () => BigInt(random.integer(102)));
const feeds = {
  [IMAGE]: { type: 'uint8', dims: [size, side, side, 3], data: pixels },
  [LABEL]: { type: 'int64', dims: [size], data: labels },
} as const;

for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'peak') {
    const [, peak] = /VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
    console.log(JSON.stringify([Number(peak) / 1024]));
    continue;
  }
  const times: number[] = [];
  for (let step = 0; step < Number(line); step++) {
    const started = performance.now();
    await stepper.step(feeds, { share: 1, last: true });
    times.push(performance.now() - started);
  }
  console.log(JSON.stringify(times));
}
process.exit();
