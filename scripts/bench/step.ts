/**
 * What a training step of the whole ResNet costs, update included: PyTorch (channels-last, its own virtual environment), ONNX
 * Runtime's kernels, and ortune's with and without Winograd's algorithm; with `--precision fp32,bf16` those that can also
 * train with bfloat16 maps (PyTorch by autocast). Each is a process of its own; they take turns, a few steps at a time, while
 * the others sleep.
 *
 * `npm run bench -- [--depth 50] [--width 1] [--image-size 224,128] [--batch-size 16] [--threads 2] [--steps 3] [--rounds 5]
 * [--kinds pytorch,stock,exact,native] [--precision fp32,bf16] [--out FILE.json]`; lists give all combinations. Times are
 * compared with the first of the same precision.
 */
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { hasPytorch, header, machine, median, Peer, row } from './turns.ts';

const { values } = parseArgs({
  options: {
    depth: { type: 'string', default: '50' },
    width: { type: 'string', default: '1' },
    'image-size': { type: 'string', default: '224,128' },
    'batch-size': { type: 'string', default: '16' },
    threads: { type: 'string', default: '2' },
    steps: { type: 'string', default: '3' },
    rounds: { type: 'string', default: '5' },
    kinds: { type: 'string', default: 'pytorch,stock,exact,native' },
    precision: { type: 'string', default: 'fp32' },
    out: { type: 'string' },
  },
});

const NAMES: Readonly<Record<string, string>> = {
  pytorch: 'PyTorch, channels-last',
  stock: "ONNX Runtime's kernels",
  exact: "ortune, without Winograd's algorithm",
  native: 'ortune',
};

interface Settings {
  readonly depth: number;
  readonly width: number;
  readonly imageSize: number;
  readonly batchSize: number;
  readonly threads: number;
}

/** Whose kernels, and between which maps. */
interface Trainer {
  readonly kind: string;
  readonly precision: string;
}

interface Figures extends Settings, Trainer {
  /** Milliseconds of each step. */
  readonly times: number[];
  /** Most memory of the process, in MiB. */
  peak: number;
}

const list = (text: string) => text.split(',').map(Number);

function* combinations(): Generator<Settings> {
  for (const threads of list(values.threads))
    for (const depth of list(values.depth))
      for (const width of list(values.width))
        for (const imageSize of list(values['image-size']))
          for (const batchSize of list(values['batch-size'])) yield { depth, width, imageSize, batchSize, threads };
}

async function measure(settings: Settings, trainers: readonly Trainer[]): Promise<Figures[]> {
  const { depth, width, imageSize, batchSize, threads } = settings;
  const figures: Figures[] = trainers.map((trainer) => ({ ...trainer, ...settings, times: [], peak: 0 }));
  const peers: Peer[] = [];
  try {
    for (const { kind, precision } of trainers) {
      const script = kind === 'pytorch' ? 'step.py' : 'step-worker.ts';
      const peer = new Peer(script, [depth, imageSize, batchSize, threads, width, kind, precision]);
      peers.push(peer);
      // The first steps make buffers and kernels.
      await peer.ask('2');
    }
    for (let round = 0; round < Number(values.rounds); round++) {
      for (const [index, peer] of peers.entries()) figures[index]?.times.push(...(await peer.ask(values.steps)));
    }
    for (const [index, peer] of peers.entries()) figures[index]!.peak = (await peer.ask('peak'))[0] ?? 0;
  } finally {
    for (const peer of peers) peer.end();
  }
  return figures;
}

const wanted = values.kinds.split(',');
const kinds = wanted.includes('pytorch') && !hasPytorch() ? wanted.filter((kind) => kind !== 'pytorch') : wanted;
const trainers = values.precision
  .split(',')
  .flatMap((precision) => kinds.map((kind) => ({ kind, precision })))
  // ONNX Runtime's kernels on the CPU take no bfloat16.
  .filter(({ kind, precision }) => kind !== 'stock' || precision === 'fp32');
console.log(`ResNet, whole step with Adam; ${machine()}\n`);
header([
  '',
  'maps',
  'depth',
  'width',
  'image',
  'batch',
  'threads',
  'ms a step',
  'images/s',
  'of the first',
  'peak memory',
]);
const all: Figures[] = [];
for (const settings of combinations()) {
  const figures = await measure(settings, trainers);
  for (const { kind, precision, depth, width, imageSize, batchSize, threads, times, peak } of figures) {
    const time = median(times);
    const first = median(figures.find((one) => one.precision === precision)?.times ?? []);
    const ratio = [((1000 * batchSize) / time).toFixed(1), (time / first).toFixed(2)];
    const numbers = [depth, width, `${imageSize} px`, batchSize, threads, time.toFixed(0)].map(String);
    row([NAMES[kind] ?? kind, precision, ...numbers, ...ratio, `${(peak / 1024).toFixed(2)} GiB`]);
  }
  all.push(...figures);
}
if (values.out !== undefined)
  await writeFile(values.out, `${JSON.stringify({ settings: values, figures: all }, undefined, 2)}\n`);
