/** Reads damaged files, one after the other, in a process of its own: what it does to that process is the parent's to see. */
import { mkdirSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { OrtuneError } from '../../src/errors.ts';
import { Random } from '../../src/random.ts';
import { inputOf } from './target.ts';
import { TARGETS } from './targets.ts';
import type { Finding, Piece, Tally } from './watch.ts';

/** Microseconds of work that an input may take: files here have a few kilobytes. */
const MOST_WORK = 2_000_000;
/** KiB that one input may add to the most memory so far: ten times the largest, and what the collector leaves lying. */
const MOST_GROWTH = 192 * 1024;

const [folder, seed, pieces] = [process.argv[2]!, Number(process.argv[3]), JSON.parse(process.argv[4]!) as Piece[]];
const place = Buffer.alloc(8);
const placeFile = openSync(join(folder, 'at'), 'r+');

const tell = (message: Finding | Tally) => process.stdout.write(`${JSON.stringify(message)}\n`);

/** What is wrong with an error, if anything: it must be meant for a user, and nothing may have been tried elsewhere. */
function faultOf(error: unknown): string | undefined {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ERR_ACCESS_DENIED') return `it went elsewhere: ${cause.stack}`;
  }
  if (error instanceof OrtuneError) return undefined;
  return error instanceof Error ? (error.stack ?? String(error)) : `it threw ${String(error)}`;
}

async function readOne(name: string, index: number): Promise<string> {
  const target = TARGETS.find((one) => one.name === name)!;
  const bytes = inputOf(target, new Random(seed, name, index), index);
  const fail = (fault: string) => tell({ target: name, index, fault, base64: Buffer.from(bytes).toString('base64') });
  const [work, memory] = [process.cpuUsage(), process.resourceUsage().maxRSS];
  let outcome = 'read';
  try {
    await target.read(bytes, join(folder, name));
  } catch (error) {
    const fault = faultOf(error);
    if (fault !== undefined) fail(fault);
    outcome = error instanceof OrtuneError ? error.code : 'defect';
  }
  if (index === 0 && outcome !== 'read') fail(`the whole file is not read: ${outcome}`);
  const { user, system } = process.cpuUsage(work);
  if (user + system > MOST_WORK) fail(`it took ${((user + system) / 1e6).toFixed(1)} s of work`);
  const growth = process.resourceUsage().maxRSS - memory;
  if (growth > MOST_GROWTH) fail(`it took ${Math.round(growth / 1024)} MiB`);
  return outcome;
}

for (const [number, { target, from, to, step }] of pieces.entries()) {
  mkdirSync(join(folder, target), { recursive: true });
  const began = performance.now();
  const outcomes: Record<string, number> = {};
  for (let index = from; index < to; index += step) {
    place.writeUInt32LE(number, 0);
    place.writeUInt32LE(index, 4);
    writeSync(placeFile, place, 0, 8, 0);
    const outcome = await readOne(target, index);
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
  }
  tell({ target, outcomes, seconds: (performance.now() - began) / 1000 });
}
