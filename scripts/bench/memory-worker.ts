/** One run of a stage on noise: what its memory was estimated to be, and its peak, in MiB. See memory.ts. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { buildResNet, encodeModelChunks, RESNET_DEFAULTS, type ResNetOptions } from '../../onnx/index.ts';
import { Random } from '../../src/random.ts';
import {
  FINETUNE_DEFAULTS,
  type FinetuneOptions,
  finetune,
  PRETRAIN_DEFAULTS,
  type PretrainOptions,
  pretrain,
} from '../../src/training/index.ts';
import { chooseKernels } from '../../src/training/kernels.ts';
import { headMemory, wholeMemory } from '../../src/training/stage-memory.ts';

/** Of a run, in words that JSON has. */
export interface Measured {
  readonly stage: 'pretrain' | 'finetune';
  readonly network: Partial<ResNetOptions>;
  readonly options: Partial<PretrainOptions> | Partial<FinetuneOptions>;
  /** Pictures to train on; as many are tested. */
  readonly pictures: number;
}

const CLASSES = ['one', 'other'];
const { stage, network: given, options, pictures } = JSON.parse(process.argv[2] ?? '') as Measured;
const network = { ...RESNET_DEFAULTS, ...given, classes: CLASSES.length };
const folder = process.argv[3] ?? (await mkdtemp(join(tmpdir(), 'ortune-memory-')));
const [data, from] = [join(folder, 'data'), join(folder, 'from')];

/** By a process of its own: what it takes to draw pictures and to build a network is no part of a run. */
async function prepare(): Promise<void> {
  const random = new Random(0, 'bench');
  for (const part of ['train', 'test']) {
    for (let index = 0; index < pictures; index++) {
      const kind = join(data, part, CLASSES[index % 2] as string);
      await mkdir(kind, { recursive: true });
      const raw = Uint8Array.from({ length: 32 * 32 * 3 }, () => random.integer(256));
      const picture = sharp(raw, { raw: { width: 32, height: 32, channels: 3 } });
      await picture
        .resize(network.imageSize)
        .png()
        .toFile(join(kind, `${index}.png`));
    }
  }
  await mkdir(from);
  await writeFile(join(from, 'graph.onnx'), encodeModelChunks(buildResNet(network)));
  await writeFile(join(from, 'labels.json'), JSON.stringify(CLASSES));
  await writeFile(join(from, 'run.json'), JSON.stringify({ options: {}, dataset: {} }));
}

function estimate(): number {
  const size = {
    network,
    chosen: chooseKernels(options.kernels, { device: 'cpu' }),
    device: 'cpu',
    pictures: { train: pictures, valid: 0, test: pictures },
    memoryLimit: undefined,
    by: 'flags',
    emit: () => {},
  } as const;
  const check =
    stage === 'pretrain'
      ? headMemory({ ...PRETRAIN_DEFAULTS, weights: '', ...options } as never, size)
      : wholeMemory({ ...FINETUNE_DEFAULTS, ...options } as never, size);
  return check.estimate(check) / 2 ** 20;
}

if (process.argv[3] === undefined) {
  await prepare();
  console.log(folder);
} else {
  try {
    const common = { data, device: 'cpu', threads: 2, out: join(folder, 'out'), ...options } as const;
    const graph = join(from, 'graph.onnx');
    if (stage === 'pretrain') await pretrain({ graph, weights: graph, ...common } as PretrainOptions);
    else await finetune({ from, ...common } as FinetuneOptions);
    const [, peak] = /VmHWM:\s+(\d+) kB/.exec(await readFile('/proc/self/status', 'utf8')) ?? [];
    console.log(JSON.stringify({ estimate: estimate(), peak: Number(peak) / 1024 }));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
