/** Faults in an order by chance: of each kind one, then again, until the time is over. */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { Random } from '../../src/random.ts';
import { everythingOf } from '../../test/everything-of.ts';
import { canMount, Disk } from '../../test/mounts.ts';
import type { Workshop } from '../../test/training/workshop.ts';
import { FAULTS, type Fault, ROOM } from './faults.ts';
import { MORE_FAULTS } from './more-faults.ts';
import { promise, Trial } from './trial.ts';
import { openSoakWorkshop, stageTwo } from './workshop.ts';

type FaultName = keyof typeof FAULTS | keyof typeof MORE_FAULTS;
export const FAULT_NAMES = [...Object.keys(FAULTS), ...Object.keys(MORE_FAULTS)] as FaultName[];

/** Faults that put pictures among the data, and take them away again. */
const OF_DATA: readonly string[] = ['bad picture added', 'picture replaced'] satisfies FaultName[];

/** What was done, and what it came to. */
export interface Done {
  readonly fault: FaultName;
  readonly outcome: string;
}

interface Soaked {
  readonly done: readonly Done[];
  /** Runs that came to their end, in the bytes of one left alone. */
  readonly runs: number;
}

/** A promise that was not kept, with what led there. */
export class Lost extends Error {
  constructor(done: readonly Done[], fault: FaultName, log: readonly string[], cause: unknown) {
    const before = done.slice(-3).map(({ fault, outcome }) => `${fault}: ${outcome}`);
    super(`${fault}: ${(cause as Error).message}\n  ${[...before, ...log].join('\n  ')}`, { cause });
  }
}

/**
 * @param goesOn asked before each fault, with how many there were
 * @throws Lost
 */
export async function soak(seed: number, goesOn: (faults: number) => boolean, tell: (done: Done) => void) {
  const workshop = await openSoakWorkshop();
  try {
    return await soakIn(workshop, seed, goesOn, tell);
  } finally {
    await workshop.remove();
  }
}

async function soakIn(
  workshop: Workshop,
  seed: number,
  goesOn: (faults: number) => boolean,
  tell: (done: Done) => void,
): Promise<Soaked> {
  const job = await stageTwo(workshop);
  const { data } = workshop;
  using disk = canMount ? new Disk(ROOM) : undefined;
  const done: Done[] = [];
  let [turn, runs] = [0, 0];
  let trial: Trial | undefined;
  const begin = async () => {
    const folder = join(disk?.path ?? workshop.folder, `run-${turn}`);
    await mkdir(folder);
    return Trial.begin(job, folder);
  };
  const finish = async () => {
    if (!trial) return;
    await trial.finish();
    runs++;
    await rm(trial.folder, { recursive: true });
    trial = undefined;
  };
  for (let round = 0; goesOn(done.length); round++) {
    for (const fault of shuffled(FAULT_NAMES, new Random(seed, 'order', round))) {
      if (!goesOn(done.length)) break;
      const random = new Random(seed, 'fault', ++turn);
      const before = await everythingOf(data);
      try {
        let outcome: string;
        if (fault in FAULTS) {
          trial ??= await begin();
          outcome = await (FAULTS as Record<string, Fault>)[fault]!({ trial, disk, data, random });
          if (trial.done || (await trial.isComplete())) await finish();
        } else {
          const folder = workshop.path(`place-${turn}`);
          await mkdir(folder);
          outcome = await MORE_FAULTS[fault as keyof typeof MORE_FAULTS]({ workshop, job, folder, random });
          await rm(folder, { recursive: true });
        }
        const isSame = OF_DATA.includes(fault) || isDeepStrictEqual(await everythingOf(data), before);
        promise(isSame, 'nothing is written to the data');
        done.push({ fault, outcome });
        tell({ fault, outcome });
      } catch (error) {
        throw new Lost(done, fault, trial?.log ?? [], error);
      }
    }
  }
  await finish();
  return { done, runs };
}

function shuffled<Value>(values: readonly Value[], random: Random): Value[] {
  const left = [...values];
  return values.map(() => left.splice(random.integer(left.length), 1)[0]!);
}
