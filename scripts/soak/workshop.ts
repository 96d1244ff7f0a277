/** What is trained on: a network that trains within a second, pictures, and the result of a run that was left alone. */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buildResNet, encodeModel } from '../../onnx/index.ts';
import { pretrain } from '../../src/training/index.ts';
import { openWorkshop, TINY, type Workshop } from '../../test/training/workshop.ts';
import { OUT, RESULTS, runStage, type StageRun } from './stage-run.ts';

/** A stage whose result is known. */
export interface Job {
  readonly command: 'pretrain' | 'finetune';
  readonly args: readonly string[];
  /** What a run that was left alone has left. */
  readonly result: ReadonlyMap<string, Buffer>;
  readonly folder: string;
  /** How that went. */
  readonly alone: StageRun;
}

export async function openSoakWorkshop(): Promise<Workshop> {
  const workshop = await openWorkshop();
  const { data, graph, path } = workshop;
  await writeFile(graph, encodeModel(buildResNet({ ...TINY, depth: 18 })));
  await pretrain({ data, graph, weights: 'none', passes: 1, device: 'cpu', threads: 1, out: path('one') });
  return workshop;
}

const COMMON = ['--out', `${RESULTS}/${OUT}`, '--device', 'cpu', '--threads', '1', '--json', '--record-every', '0'];

/** Stage two, with all that has a state: it takes every part of it to come out the same. */
export const stageTwo = (workshop: Workshop): Promise<Job> =>
  leftAlone(workshop, 'finetune', [
    ...['--data', workshop.data, '--from', workshop.path('one'), ...COMMON],
    ...['--passes', '3', '--batch-size', '4', '--accumulate', '2', '--optimizer', 'adamw', '--lr', '0.001'],
    ...['--schedule', 'one-cycle', '--ema', '0.9', '--keep', 'best'],
    ...['--crop-scale', '0.5', '--policy', 'trivial', '--mixup', '0.2'],
  ]);

/** Stage one at a rate that spoils the head, and a tenth of it does not. */
export const spoiltStageOne = (workshop: Workshop): Promise<Job> =>
  leftAlone(
    workshop,
    'pretrain',
    [
      ...['--data', workshop.data, '--graph', workshop.graph, '--weights', 'none', ...COMMON],
      ...['--passes', '3', '--batch-size', '6', '--lr', '1e19'],
    ],
    ['--on-nan', 'rollback'],
  );

async function leftAlone(
  workshop: Workshop,
  command: Job['command'],
  args: readonly string[],
  more: readonly string[] = [],
): Promise<Job> {
  const folder = workshop.path(`${command}-alone`);
  await mkdir(join(folder, RESULTS), { recursive: true });
  const alone = await runStage(folder, command, [...args, ...more]);
  if (alone.code !== 0) throw new Error(alone.stderr);
  const out = join(folder, RESULTS, OUT);
  return { command, args, result: await resultOf(out), folder: out, alone };
}

/** A result's files by name, without what the clock says in them. The report has nothing that the others have not. */
export async function resultOf(folder: string): Promise<Map<string, Buffer>> {
  const names = (await readdir(folder)).filter((name) => name !== 'report.html').sort();
  const read = async (name: string) => [name, timeless(name, await readFile(join(folder, name)))] as const;
  return new Map(await Promise.all(names.map(read)));
}

/** Columns and fields of a pass that the clock says. */
const TIMES = ['seconds', 'dataWait'];

function timeless(name: string, bytes: Buffer): Buffer {
  if (name === 'history.csv') {
    const rows = bytes
      .toString()
      .split('\r\n')
      .map((line) => line.split(','));
    const kept = rows[0]!.flatMap((column, index) => (TIMES.includes(column) ? [] : [index]));
    return Buffer.from(rows.map((cells) => kept.map((index) => cells[index]).join(',')).join('\r\n'));
  }
  if (name !== 'run.json') return bytes;
  const { started: _, seconds: __, history, ...rest } = JSON.parse(bytes.toString());
  for (const pass of history) for (const time of TIMES) delete pass[time];
  return Buffer.from(JSON.stringify({ ...rest, history }));
}

/** Names of the files in which two results differ. */
export function differencesOf(one: ReadonlyMap<string, Buffer>, other: ReadonlyMap<string, Buffer>): string[] {
  const names = new Set([...one.keys(), ...other.keys()]);
  return [...names].filter((name) => !one.get(name)?.equals(other.get(name) ?? Buffer.alloc(0)));
}
