/** One run that is disturbed and goes on until it is done; whatever it has to bear, nothing may be lost. */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isKept } from '../../src/progress/index.ts';
import type { TrainingEvent } from '../../src/training/index.ts';
import { type Disturbance, OUT, type Place, PROGRESS, RESULTS, runStage, type StageRun } from './stage-run.ts';
import { differencesOf, type Job, resultOf } from './workshop.ts';

/** A promise that was not kept. */
class Broken extends Error {
  override readonly name = 'Broken';
}

/** @throws Broken */
export function promise(kept: boolean, what: string, found: unknown = ''): asserts kept {
  if (!kept) throw new Broken(`not so: ${what}${found === '' ? '' : `; found ${JSON.stringify(found)}`}`);
}

/** An older result, which stays until there is a whole new one. */
const OLDER = '{"older":true}';

interface TrialOptions {
  /** Flags beside the job's. */
  readonly more?: readonly string[];
  /** What a shell is to do before the command. */
  readonly shell?: string;
}

export class Trial {
  /** That the command runs in. */
  readonly folder: string;
  readonly job: Job;
  /** How its runs ended. */
  readonly log: string[] = [];
  /** The newest record that a run has told of and nothing has taken since. */
  kept: Place | undefined;
  /** Whether the result lies there, and no run has anything left to do. */
  done = false;
  /** Whether the older result is to be there, as nobody has taken it. */
  hasOlder = true;
  /** Whether all records there were could not be used. */
  #beginsAnew = false;

  private constructor(job: Job, folder: string) {
    this.job = job;
    this.folder = folder;
  }

  static async begin(job: Job, folder: string): Promise<Trial> {
    const trial = new Trial(job, folder);
    await trial.putOlder();
    return trial;
  }

  async putOlder(): Promise<void> {
    await mkdir(this.results(OUT), { recursive: true });
    await writeFile(this.results(OUT, 'run.json'), OLDER);
    this.hasOlder = true;
  }

  /** A path where the results lie. */
  results(...names: string[]): string {
    return join(this.folder, RESULTS, ...names);
  }

  /** Names of the records, the newest last. */
  async records(): Promise<string[]> {
    const names = await readdir(this.results(PROGRESS)).catch(() => []);
    return names.filter((name) => /^\d{6}$/.test(name)).sort();
  }

  /** What lies there beside the result and its records. */
  async litter(): Promise<string[]> {
    const beside = (await readdir(this.results())).filter((name) => name !== OUT && name !== PROGRESS);
    const within = await readdir(this.results(PROGRESS)).catch(() => []);
    return [...beside, ...within.filter((name) => !/^\d{6}$/.test(name)).map((name) => `${PROGRESS}/${name}`)];
  }

  /**
   * Begins the run, or goes on with it.
   *
   * @throws Broken when it does not go on from its newest record, or leaves a result that is neither the older nor the whole
   */
  async run(disturbance?: Disturbance, { more = [], shell }: TrialOptions = {}): Promise<StageRun> {
    const isThere = (await isKept(this.results(OUT))) || (await this.isComplete());
    promise(isThere || !this.kept, 'what was kept of the run is there', await readdir(this.results()));
    const resumes = isThere && !this.#beginsAnew;
    const args = [...this.job.args, ...(resumes ? ['--resume'] : []), ...more];
    const run = await runStage(this.folder, this.job.command, args, {
      disturbance,
      ...(shell !== undefined && { shell }),
    });
    const { code, stderr, disturbed } = run;
    this.log.push(`${code}${disturbed ? ` at ${disturbed}` : ''}${resumes ? ', resumed' : ''}: ${stderr.trim()}`);
    promise(!/^ {4}at /m.test(stderr), 'errors are sentences, without a stack', stderr);
    const [first] = eventsOf(run, 'batch');
    if (this.kept && first) {
      const early = first.pass < this.kept.pass || (first.pass === this.kept.pass && first.batch < this.kept.batches);
      promise(!early, `it goes on from ${JSON.stringify(this.kept)}`, first);
    }
    for (const event of run.events) {
      if (event.type === 'kept') this.kept = event;
      if (event.type === 'rollback') this.kept = event.to.steps > 0 ? event.to : undefined;
    }
    const complete = await this.isComplete();
    const hasNothing = code === 1 && /^Error: --resume: expected a run to go on with/m.test(stderr);
    promise(!hasNothing || complete || !this.kept, 'there is a record to go on from', stderr);
    promise(code !== 0 || complete, 'a run that ends well leaves its result');
    this.#beginsAnew = hasNothing;
    if (code === 0 || (hasNothing && complete)) this.done = true;
    return run;
  }

  /**
   * Goes on, undisturbed, until it is done.
   *
   * @throws Broken when that fails, or anything is left beside the result
   */
  async finish(options: TrialOptions = {}): Promise<void> {
    for (let attempt = 0; !this.done; attempt++) {
      const { code, stderr } = await this.run(undefined, options);
      // One more where there was no whole record to go on from.
      promise(this.done || (attempt === 0 && this.#beginsAnew), 'a run that is left alone ends well', { code, stderr });
    }
    const names = await readdir(this.results());
    promise(names.length === 1, 'nothing lies beside the result', names);
  }

  /**
   * Whether the new result is there, all of it; else the older one must be.
   *
   * @throws Broken
   */
  async isComplete(): Promise<boolean> {
    if (await this.#isWhole(OUT)) return true;
    if (!this.hasOlder || (await this.#isOlder(OUT))) return false;
    // Ended between taking what was there away and putting the new in its place.
    const old = (await readdir(this.results())).find((name) => name.startsWith(`.${OUT}.old-`)) ?? OUT;
    const isThere = (await this.#isOlder(old)) || (await this.#isWhole(old));
    promise(isThere, 'the older result is there', await readdir(this.results()));
    return false;
  }

  async #isOlder(name: string): Promise<boolean> {
    return (await readFile(this.results(name, 'run.json'), 'utf8').catch(() => undefined)) === OLDER;
  }

  /** Whether there is a new result, and then all of it. @throws Broken */
  async #isWhole(name: string): Promise<boolean> {
    const names = await readdir(this.results(name)).catch(() => []);
    if (names.length === 0 || (await this.#isOlder(name))) return false;
    const differences = differencesOf(await resultOf(this.results(name)), this.job.result);
    promise(differences.length === 0, 'the result is that of a run left alone, byte for byte', differences);
    return true;
  }
}

export const eventsOf = <Type extends TrainingEvent['type']>(
  { events }: Pick<StageRun, 'events'>,
  type: Type,
): Extract<TrainingEvent, { type: Type }>[] =>
  events.filter((event): event is Extract<TrainingEvent, { type: Type }> => event.type === type);
