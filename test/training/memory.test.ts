// Estimates against processes that really run, and real control groups.
import { existsSync } from 'node:fs';
import { access, mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildResNet, encodeModel, RESNET_DEFAULTS, type ResNetOptions } from '../../onnx/index.ts';
import type { Measured } from '../../scripts/bench/memory-worker.ts';
import { fit as fitModel } from '../../src/fit/index.ts';
import { finetune, pretrain, type TrainingEvent } from '../../src/training/index.ts';
import { chooseKernels } from '../../src/training/kernels.ts';
import { FINETUNE_DEFAULTS } from '../../src/training/options.ts';
import { wholeMemory } from '../../src/training/stage-memory.ts';
import { commandLine, type Outcome, runCommand, runProcess } from '../cli/command.ts';
import { openWorkshop, snapshot, type Workshop } from './workshop.ts';

const MiB = 2 ** 20;
let workshop: Workshop;
/** A stage one of a network whose maps take more than its values. */
const FROM = 'stage-one';
const NETWORK = { width: 0.25, imageSize: 128, classes: 3 } satisfies Partial<ResNetOptions>;

beforeAll(async () => {
  workshop = await openWorkshop();
  await writeFile(workshop.path('wide.onnx'), encodeModel(buildResNet(NETWORK)));
  await pretrain({
    data: workshop.data,
    graph: workshop.path('wide.onnx'),
    weights: 'none',
    device: 'cpu',
    passes: 1,
    out: workshop.path(FROM),
  });
});
afterAll(() => workshop.remove());

/** Bytes that stage two is estimated to take. */
function estimateOf(batchSize: number, accumulate = 1): number {
  const check = wholeMemory(
    { ...FINETUNE_DEFAULTS, batchSize, accumulate },
    {
      network: { ...RESNET_DEFAULTS, ...NETWORK },
      chosen: chooseKernels(undefined, { device: 'cpu' }),
      device: 'cpu',
      pictures: { train: 24, valid: 0, test: 6 },
      memoryLimit: undefined,
      by: 'flags',
      emit: () => {},
    },
  );
  return check.estimate(check);
}

describe('estimates are a little above what processes take', { timeout: 180_000 }, () => {
  const worker = join(import.meta.dirname, '../../scripts/bench/memory-worker.ts');
  const tsx = async (run: Measured, args: readonly string[]) => {
    const words = [process.execPath, '--import', 'tsx', worker, JSON.stringify(run), ...args];
    const { code, stdout, stderr } = await runProcess(process.cwd(), words);
    expect(code, stderr).toBe(0);
    return stdout.trim();
  };

  const runs: readonly Omit<Measured, 'pictures'>[] = [
    { stage: 'finetune', network: { depth: 18, imageSize: 64 }, options: { batchSize: 4, passes: 1 } },
    {
      stage: 'finetune',
      network: { depth: 18, imageSize: 96 },
      options: { batchSize: 32, passes: 1, kernels: 'stock' },
    },
    { stage: 'finetune', network: { width: 0.25, imageSize: 128 }, options: { batchSize: 32, passes: 1 } },
    {
      stage: 'finetune',
      network: { depth: 18, imageSize: 64 },
      options: { batchSize: 4, passes: 1, optimizer: 'sgd', accumulate: 2, keep: 'best', ema: { decay: 0.9 } },
    },
    { stage: 'pretrain', network: { depth: 18, imageSize: 128 }, options: { batchSize: 16, passes: 1 } },
  ];
  it.each(runs)('%j', async (run) => {
    const measured = { ...run, pictures: 2 * (run.options.batchSize ?? 0) };
    const folder = await tsx(measured, []);
    const { estimate, peak } = JSON.parse(await tsx(measured, [folder]));
    expect(estimate / peak).toBeGreaterThan(0.97);
    expect(estimate / peak).toBeLessThan(1.25);
  });
});

describe('a run that would not fit is refused before anything is written', () => {
  const flags = (...more: string[]) => ['--data', workshop.data, '--device', 'cpu', '--out', 'out', ...more];

  it('by the commands', async () => {
    const before = await snapshot(workshop.folder);
    const limit = `${Math.ceil(estimateOf(8, 2) / MiB)}MiB`;
    const stageTwo = ['--from', FROM, '--batch-size', '16', '--memory-limit', limit];
    const { code, stderr } = await runCommand(workshop.folder, 'finetune', flags(...stageTwo));
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(
        /^Error: memory-limit: batches of 16 at 128 px are .* --memory-limit \d+MiB\. Batches of \d+ fit: --batch-size \d+; or --batch-size 8 --accumulate 2, whose updates are of 16 pictures as before\.\n$/,
      ),
    });
    const stageOne = ['--graph', 'wide.onnx', '--weights', 'none', '--memory-limit', '200MiB'];
    const other = await runCommand(workshop.folder, 'pretrain', flags(...stageOne));
    expect(other.stderr).toMatch(/^Error: memory-limit: pictures of 128 px/);
    const wrong = await runCommand(workshop.folder, 'finetune', flags('--memory-limit', '4'));
    expect(wrong.stderr).toMatch(/^Error: memory-limit: expected a size such as 4GiB or 3000MB, or none, received 4/);
    expect(await snapshot(workshop.folder)).toEqual(before);
    expect(await readdir(workshop.folder)).not.toContain('out');
  });

  it('by fit, whose second stage is what does not fit', async () => {
    const out = workshop.path('fitted');
    const own = { data: workshop.data, weights: 'none', device: 'cpu', out } as const;
    const events: TrainingEvent[] = [];
    const recipe = { name: 'mine', network: { depth: 18 as const, imageSize: 64 } };
    const run = fitModel({ ...own, recipe, memoryLimit: '650MiB', onEvent: (event) => events.push(event) });
    await expect(run).rejects.toMatchObject({
      code: 'MEMORY_LIMIT',
      message: expect.stringMatching(/in a recipe's finetune|does not fit/),
    });
    expect(events.filter(({ type }) => type === 'phase')).toHaveLength(2);
    expect(existsSync(out)).toBe(false);
  });
});

it('the batches that are suggested make the updates that were asked for', async () => {
  const limit = `${Math.ceil(estimateOf(6, 2) / MiB)}MiB`;
  const common = { data: workshop.data, from: workshop.path(FROM), device: 'cpu', passes: 1, test: false } as const;
  // A rate of its own for each update.
  const schedule = { kind: 'one-cycle' } as const;
  const asked = { ...common, schedule, memoryLimit: limit, batchSize: 12, out: workshop.path('asked') };
  const message = await finetune(asked).then(
    () => expect.fail('it was accepted'),
    (error: Error) => error.message,
  );
  const [, batchSize, accumulate] = /--batch-size (\d+) --accumulate (\d+)/.exec(message)?.map(Number) ?? [];
  const events: TrainingEvent[] = [];
  await finetune({ ...asked, batchSize: batchSize!, accumulate: accumulate!, onEvent: (event) => events.push(event) });
  const batches = events.filter((event) => event.type === 'batch');
  const { trainSize = 0 } = events.find((event) => event.type === 'start') ?? {};
  expect(batchSize).toBeLessThan(12);
  // It may be another one when the run is gone on with.
  const { options } = JSON.parse(await readFile(workshop.path('asked/run.json'), 'utf8'));
  expect(options).not.toHaveProperty('memoryLimit');
  expect(batches).toHaveLength(Math.ceil(trainSize / batchSize!));
  expect(new Set(batches.map(({ learningRate }) => learningRate)).size).toBe(Math.ceil(trainSize / 12));
});

/** Where control groups lie, and the file of their limit, of both versions. */
const KINDS = [
  { mount: '/sys/fs/cgroup/memory', limit: 'memory.limit_in_bytes' },
  { mount: '/sys/fs/cgroup', limit: 'memory.max' },
];

/** A control group for as long as `work` takes. */
async function withGroup<Result>(
  { mount, limit }: (typeof KINDS)[number],
  work: (folder: string, limit: string) => Promise<Result>,
): Promise<Result> {
  const folder = join(mount, `ortune-test-${process.pid}`);
  await mkdir(folder);
  try {
    await access(join(folder, limit));
    return await work(folder, join(folder, limit));
  } finally {
    await rmdir(folder);
  }
}

const reasons: string[] = [];
let kind: (typeof KINDS)[number] | undefined;
for (const one of KINDS) {
  if (kind) break;
  await withGroup(one, async () => {
    kind = one;
  }).catch((error: Error) => reasons.push(error.message));
}

it.skipIf(!kind)(
  kind
    ? 'in a control group a run that does not fit is refused, and one that fits is not killed'
    : `not in a control group, as none can be made: ${reasons.join('; ')}`,
  { timeout: 180_000 },
  () =>
    withGroup(kind!, async (group, limit) => {
      const run = (batchSize: number): Promise<Outcome> => {
        const flags = ['--data', workshop.data, '--from', FROM, '--out', 'grouped', '--passes', '1'];
        const words = commandLine('finetune', [...flags, '--batch-size', String(batchSize)]);
        const enter = `echo $$ > ${group}/cgroup.procs && exec "$@"`;
        return runProcess(workshop.folder, ['sh', '-c', enter, 'sh', ...words]);
      };
      // A little more than the estimate, for the shell that begins it.
      await writeFile(limit, String(Math.ceil(estimateOf(4) + 8 * MiB)));
      const refused = await run(24);
      expect(refused).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/^Error: memory-limit: .*: \S+\/memory\S+ \(.* --memory-limit none/),
      });
      const size = Number(/--batch-size (\d+)/.exec(refused.stderr)?.[1]);
      expect(size).toBeGreaterThanOrEqual(4);
      const { code, stderr } = await run(size);
      expect({ code, stderr }).toMatchObject({ code: 0 });
      const { options } = JSON.parse(await readFile(workshop.path('grouped/run.json'), 'utf8'));
      expect(options).toMatchObject({ batchSize: size });
    }),
);
