/**
 * What a training step of the whole ResNet costs, update included: PyTorch (channels-last, its own virtual environment), ONNX
 * Runtime's kernels, and ortune's with and without Winograd's algorithm. Each is a process of its own; they take turns, a
 * few steps at a time, while the others sleep.
 *
 * `npm run bench -- [--depth 50] [--image-size 224,128] [--batch-size 16] [--threads 2] [--steps 3] [--rounds 5]
 * [--kinds pytorch,stock,exact,native] [--out FILE.json]`
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { pytorch } from '../../test/parity/setup.mjs';

const { values } = parseArgs({
  options: {
    depth: { type: 'string', default: '50' },
    'image-size': { type: 'string', default: '224,128' },
    'batch-size': { type: 'string', default: '16' },
    threads: { type: 'string', default: '2' },
    steps: { type: 'string', default: '3' },
    rounds: { type: 'string', default: '5' },
    kinds: { type: 'string', default: 'pytorch,stock,exact,native' },
    out: { type: 'string' },
  },
});

const NAMES: Readonly<Record<string, string>> = {
  pytorch: 'PyTorch, channels-last',
  stock: "ONNX Runtime's kernels",
  exact: "ortune, without Winograd's algorithm",
  native: 'ortune',
};

interface Figures {
  readonly kind: string;
  readonly imageSize: number;
  /** Milliseconds of each step. */
  readonly times: number[];
  /** Most memory of the process, in MiB. */
  peak: number;
}

/** A process that trains on request. */
class Trainer {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(kind: string, imageSize: number) {
    const { depth, threads } = values;
    const settings = [depth, String(imageSize), values['batch-size'], threads];
    const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));
    const [command, ...args] =
      kind === 'pytorch'
        ? [pytorch.python, path('step.py'), ...settings]
        : [process.execPath, '--import', 'tsx', path('step-worker.ts'), ...settings, kind];
    this.#child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
  }

  async ask(request: string): Promise<number[]> {
    this.#child.stdin?.write(`${request}\n`);
    const { value, done } = await this.#lines.next();
    if (done) throw new Error('a process of the benchmark has ended early; its last words stand above');
    return JSON.parse(value) as number[];
  }

  end(): void {
    this.#child.stdin?.end();
  }
}

async function measure(imageSize: number, kinds: readonly string[]): Promise<Figures[]> {
  const figures: Figures[] = kinds.map((kind) => ({ kind, imageSize, times: [], peak: 0 }));
  const trainers: Trainer[] = [];
  try {
    for (const kind of kinds) {
      const trainer = new Trainer(kind, imageSize);
      trainers.push(trainer);
      // The first steps make buffers and kernels.
      await trainer.ask('2');
    }
    for (let round = 0; round < Number(values.rounds); round++) {
      for (const [index, trainer] of trainers.entries())
        figures[index]?.times.push(...(await trainer.ask(values.steps)));
    }
    for (const [index, trainer] of trainers.entries()) figures[index]!.peak = (await trainer.ask('peak'))[0] ?? 0;
  } finally {
    for (const trainer of trainers) trainer.end();
  }
  return figures;
}

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((left, right) => left - right);
  return ((sorted[(sorted.length - 1) >> 1] ?? 0) + (sorted[sorted.length >> 1] ?? 0)) / 2;
}

const kinds = values.kinds.split(',').filter((kind) => kind !== 'pytorch' || pytorch.isReady());
if (!kinds.includes('pytorch')) console.error('Without PyTorch: node test/parity/setup.mjs makes its environment.');
const { depth, threads } = values;
console.log(
  `ResNet${depth}, batch ${values['batch-size']}, ${threads} threads; ${cpus()[0]?.model}, Node ${process.versions.node}\n`,
);
console.log(
  `| | ${'image'} | ms a step | images/s | of the first | peak memory |\n| --- | --- | --- | --- | --- | --- |`,
);
const all: Figures[] = [];
for (const imageSize of values['image-size'].split(',').map(Number)) {
  const figures = await measure(imageSize, kinds);
  const first = median(figures[0]?.times ?? []);
  for (const { kind, times, peak } of figures) {
    const time = median(times);
    const speed = (1000 * Number(values['batch-size'])) / time;
    const cells = [
      NAMES[kind] ?? kind,
      `${imageSize} px`,
      time.toFixed(0),
      speed.toFixed(1),
      (time / first).toFixed(2),
    ];
    console.log(`| ${[...cells, `${(peak / 1024).toFixed(2)} GiB`].join(' | ')} |`);
  }
  all.push(...figures);
}
if (values.out !== undefined)
  await writeFile(values.out, `${JSON.stringify({ settings: values, figures: all }, undefined, 2)}\n`);
