/**
 * How far the estimates that `--memory-limit` is compared with are from what runs take: a process for each, whole from its
 * pictures to its result. Linux only.
 *
 * `npx tsx scripts/bench/memory.ts [--only finetune] [--out FILE.json]`
 */
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import type { Measured } from './memory-worker.ts';
import { header, row } from './turns.ts';

const { values } = parseArgs({ options: { only: { type: 'string', default: '' }, out: { type: 'string' } } });
const run = promisify(execFile);
const worker = fileURLToPath(new URL('./memory-worker.ts', import.meta.url));

type Options = Measured['options'];
const settings = (
  stage: Measured['stage'],
  depth: 18 | 50 | 101,
  imageSize: number,
  batchSize: number,
  options: Options = {},
): Measured => ({
  stage,
  network: { depth, imageSize },
  options: { batchSize, passes: 1, ...options },
  pictures: Math.max(4, 2 * batchSize),
});

const stock = { kernels: 'stock' } as const;
const RUNS = [
  settings('finetune', 18, 64, 4),
  settings('finetune', 18, 64, 32),
  settings('finetune', 18, 128, 16),
  settings('finetune', 18, 224, 16),
  settings('finetune', 50, 64, 4),
  settings('finetune', 50, 64, 16),
  settings('finetune', 50, 128, 16),
  settings('finetune', 50, 128, 32),
  settings('finetune', 50, 224, 4),
  settings('finetune', 50, 224, 16),
  settings('finetune', 101, 64, 4),
  settings('finetune', 18, 64, 4, stock),
  settings('finetune', 18, 128, 16, stock),
  settings('finetune', 50, 64, 4, stock),
  settings('finetune', 50, 128, 16, stock),
  settings('finetune', 50, 224, 8, stock),
  settings('finetune', 18, 64, 4, { ...stock, optimizer: 'adamw', clipNorm: 1 }),
  settings('finetune', 50, 64, 4, { ...stock, accumulate: 4 }),
  settings('finetune', 50, 128, 16, { precision: 'bf16' }),
  settings('finetune', 50, 128, 16, { exact: true }),
  settings('finetune', 50, 64, 4, { optimizer: 'sgd' }),
  settings('finetune', 50, 64, 4, { accumulate: 4 }),
  settings('finetune', 50, 64, 4, { ema: { decay: 0.9 } }),
  settings('finetune', 50, 64, 4, { keep: 'best', passes: 2 }),
  settings('finetune', 50, 64, 4, { test: 'end' }),
  settings('finetune', 50, 128, 16, { testFlip: true, testSize: '150%' }),
  settings('finetune', 50, 128, 16, { train: ['fc_*', 'res5*'], batchNorm: 'frozen' }),
  settings('pretrain', 18, 64, 4),
  settings('pretrain', 50, 128, 16),
  settings('pretrain', 50, 224, 16),
  settings('pretrain', 50, 64, 4, { optimizer: 'lbfgs' }),
  settings('pretrain', 50, 128, 16, { batchNorm: 'live' }),
  settings('pretrain', 18, 128, 16, { ...stock, batchNorm: 'live' }),
];

const results: unknown[] = [];
header(['stage', 'network', 'px', 'batch', 'otherwise', 'estimate, MiB', 'peak, MiB', 'of it']);
for (const one of RUNS.filter(({ stage }) => stage.includes(values.only))) {
  const tsx = (args: readonly string[]) =>
    run(process.execPath, ['--import', 'tsx', worker, JSON.stringify(one), ...args]);
  const { stdout: folder } = await tsx([]);
  const { stdout } = await tsx([folder.trim()]);
  const { estimate, peak } = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Record<'estimate' | 'peak', number>;
  const { batchSize, passes, ...others } = one.options;
  const said = Object.entries(others).map(
    ([name, value]) => `${name} ${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
  const { depth, imageSize } = one.network;
  const ratio = (estimate / peak).toFixed(2);
  row([
    one.stage,
    `ResNet${depth}`,
    `${imageSize}`,
    `${batchSize}`,
    said.join(', '),
    estimate.toFixed(),
    peak.toFixed(),
    ratio,
  ]);
  results.push({ ...one, estimate, peak });
}
if (values.out !== undefined) await writeFile(values.out, `${JSON.stringify(results, undefined, 2)}\n`);
