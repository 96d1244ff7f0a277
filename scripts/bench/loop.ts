/**
 * What a stage-two pass costs beside the native calls, and whether pictures come in time: passes of the loop that training
 * runs, whose pictures are decoded, come from the cache, or lie ready in memory, in turns. The last batch of a pass is
 * smaller: what its shape costs the first time shows beside later times.
 *
 * `npx tsx scripts/bench/loop.ts [--data DIR] [--image-size 128] [--batch-size 16] [--pictures 104] [--depth 50] [--width 1]
 * [--threads 2] [--rounds 3] [--kernels native|stock] [--out FILE.json]`; without `--data`, flowers are drawn.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { buildResNet, type ResNetOptions } from '../../onnx/index.ts';
import { imageTransform, openDataset } from '../../src/data/index.ts';
import type { BatchSource, FeedBatch } from '../../src/training/batch-source.ts';
import { FINETUNE_DEFAULTS } from '../../src/training/options.ts';
import { runPasses } from '../../src/training/passes.ts';
import { pictureSource } from '../../src/training/picture-source.ts';
import { planOf } from '../../src/training/plan.ts';
import { Requests } from '../../src/training/run.ts';
import { openTraining } from '../../src/training/session.ts';
import type { Stepper } from '../../src/training/stepper.ts';
import { drawFlowers, FLOWER_CLASSES } from '../demo/flowers.ts';
import { header, machine, median, row } from './turns.ts';

const { values } = parseArgs({
  options: {
    data: { type: 'string' },
    'image-size': { type: 'string', default: '128' },
    'batch-size': { type: 'string', default: '16' },
    pictures: { type: 'string', default: '104' },
    depth: { type: 'string', default: '50' },
    width: { type: 'string', default: '1' },
    threads: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '3' },
    kernels: { type: 'string', default: 'native' },
    out: { type: 'string' },
  },
});
const side = Number(values['image-size']);
const batchSize = Number(values['batch-size']);
const pictures = Number(values.pictures);

const KINDS = ['decoded', 'cached', 'in memory'] as const;

interface Pass {
  readonly kind: (typeof KINDS)[number];
  /** Milliseconds, as are all. */
  readonly whole: number;
  /** Of it, waiting for pictures. */
  readonly wait: number;
  /** Of it, until the native calls of a step were back, step by step. */
  readonly steps: readonly number[];
  /** Of it, the rest: what the loop adds. */
  readonly loop: number;
  /** Longest time that the main thread was busy, so that a step's end could not be seen. */
  readonly busy: number;
}

const drawn = values.data === undefined ? await mkdtemp(join(tmpdir(), 'ortune-bench-')) : undefined;
try {
  const passes = await measure(values.data ?? (await draw(drawn!)));
  print(passes);
  const record = { machine: machine(), settings: values, passes };
  if (values.out !== undefined) await writeFile(values.out, `${JSON.stringify(record, undefined, 2)}\n`);
} finally {
  if (drawn !== undefined) await rm(drawn, { recursive: true, force: true });
}

async function draw(folder: string): Promise<string> {
  // Some more, as a few of each kind are set apart for tests.
  const perClass = Math.ceil((1.3 * pictures) / FLOWER_CLASSES.length);
  await drawFlowers(folder, { perClass, size: Math.ceil(1.5 * side), seed: 0 });
  return folder;
}

async function measure(data: string): Promise<Pass[]> {
  const found = await openDataset(data);
  const dataset = { ...found, train: found.train.slice(0, pictures) };
  const network = { imageSize: side, classes: found.classes.length, width: Number(values.width) };
  const model = buildResNet({ ...network, depth: Number(values.depth) as ResNetOptions['depth'] });
  const kernels = values.kernels === 'stock' ? 'stock' : 'native';
  const plan = planOf(model, FINETUNE_DEFAULTS, { labels: [], softLabels: false, kernels });
  await using training = await openTraining(model, plan, {
    device: 'cpu',
    threads: Number(values.threads),
    kernels,
    layers: kernels,
  });
  await using source = pictureSource(dataset, {
    ...FINETUNE_DEFAULTS,
    imageSize: side,
    testTransform: imageTransform(side),
    batchSize,
    liveBatchNorm: true,
    constantShape: false,
  });
  const held: FeedBatch[] = [];
  const kept: BatchSource = {
    ...source,
    async *train(pass) {
      for await (const batch of source.train(pass)) {
        held.push({ ...batch, waitMs: 0 });
        yield batch;
      }
    },
  };
  const ready: BatchSource = {
    ...source,
    async *train() {
      yield* held;
    },
  };
  const run = (kind: Pass['kind'], batches: BatchSource) => onePass(kind, training, batches, dataset.classes);
  const passes = [await run('decoded', kept)];
  for (let round = 0; round < Number(values.rounds); round++) {
    passes.push(await run('in memory', ready), await run('cached', source));
  }
  return passes;
}

async function onePass(
  kind: Pass['kind'],
  training: Parameters<typeof runPasses>[0],
  source: BatchSource,
  classes: readonly string[],
): Promise<Pass> {
  const { stepper } = training;
  const steps: number[] = [];
  let rates = 0;
  const timed: Stepper = {
    ...stepper,
    async setLearningRate(rate) {
      const started = performance.now();
      await stepper.setLearningRate(rate);
      rates += performance.now() - started;
    },
    async step(feeds, part) {
      const started = performance.now();
      const result = await stepper.step(feeds, part);
      steps.push(performance.now() - started);
      return result;
    },
  };
  let [whole, wait] = [0, 0];
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  await runPasses({ ...training, stepper: timed }, source, {
    ...FINETUNE_DEFAULTS,
    passes: 1,
    test: false,
    classes,
    values: async () => new Map(),
    requests: new Requests(),
    save: async () => {},
    signal: undefined,
    emit(event) {
      if (event.type !== 'pass') return;
      whole = (1000 * source.trainSize) / event.picturesPerSecond;
      wait = whole * event.dataWait;
    },
  });
  delay.disable();
  return { kind, whole, wait, steps, loop: whole - wait - rates - sum(steps), busy: delay.max / 1e6 };
}

function print(passes: readonly Pass[]): void {
  const { depth, width, threads, kernels } = values;
  console.log(`ResNet${depth}, width ${width}, ${side} px, batch ${batchSize}, ${threads} threads, ${kernels} kernels`);
  console.log(`${machine()}; ${passes[0]?.steps.length} steps a pass; medians over passes\n`);
  header([
    'pictures',
    'passes',
    'ms a whole step',
    'waiting',
    'native calls',
    'loop',
    'loop of native',
    'main thread busy',
  ]);
  for (const kind of KINDS) {
    const of = passes.filter((pass) => pass.kind === kind);
    const time = (part: (pass: Pass) => number) => `${median(of.map(part)).toFixed(1)} ms`;
    const share = (part: (pass: Pass) => number) => `${(100 * median(of.map(part))).toFixed(2)} %`;
    row([
      kind,
      String(of.length),
      // The first step of the first pass makes buffers and kernels, the last of each is smaller.
      median(of.flatMap(({ steps }) => steps.slice(1, -1))).toFixed(0),
      share(({ wait, whole }) => wait / whole),
      time(({ steps }) => sum(steps)),
      time(({ loop }) => loop),
      share(({ loop, steps }) => loop / sum(steps)),
      time(({ busy }) => busy),
    ]);
  }
  const rest = pictures % batchSize;
  if (rest === 0) return;
  const [first, ...later] = passes.map(({ steps }) => steps.at(-1)!);
  console.log('\nFirst time, then the median of later ones:');
  header(['step', 'first', 'later']);
  row([
    `${batchSize} pictures`,
    ...[passes[0]!.steps[0]!, median(passes.flatMap(({ steps }) => steps.slice(1, -1)))].map(ms),
  ]);
  row([`${rest} pictures`, ...[first!, median(later)].map(ms)]);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

function ms(time: number): string {
  return `${time.toFixed(0)} ms`;
}
