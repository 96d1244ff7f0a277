import { readFile, rmdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { OrtuneError } from '../errors.ts';
import { type Holder, lock } from '../lock.ts';
import { outputError } from '../output-error.ts';
import type { Emit } from '../training/events.ts';
import type { Candidate, PassRecord } from '../training/pass-state.ts';
import { makeFolder } from '../write-files.ts';
import { differences, type Fingerprint } from './fingerprint.ts';
import {
  keepNewest,
  newestRecord,
  numbersOf,
  removeAbandoned,
  removeRecord,
  type StoredRecord,
  writeRecord,
} from './records.ts';
import { parseState, type State } from './state.ts';

/** Files of a record. */
const CHECKPOINT = 'checkpoint';
const STATE = 'state.json';
const BEST = 'best.bin';

/** A pass's end is worth a record once this share of the usual interval has gone by. */
const AT_PASS_END = 0.1;

export interface ProgressOptions {
  /** Folder of the run's result; progress is kept beside it. */
  readonly out: string;
  /** Whether to go on with what was kept. */
  readonly resume: boolean;
  /** Seconds from one record to the next; 0: after each update. */
  readonly every: number;
  readonly fingerprint: Fingerprint;
  readonly emit: Emit;
}

/** What a run goes on from. */
export interface Found {
  readonly record: PassRecord;
  readonly best: Candidate | undefined;
  readonly folder: string;
  /** File of the session's state. */
  readonly checkpoint: string;
}

/** Keeps how far passes have come. */
export interface Keeper {
  readonly found: Found | undefined;
  due(passEnded: boolean): boolean;
  write(record: PassRecord, best: Candidate | undefined): Promise<void>;
  /**
   * The run's newest record of fewer updates than `before`.
   *
   * @param options.discard removes newer ones
   */
  newest(options: { readonly before: number; readonly discard: boolean }): Promise<Found | undefined>;
}

const folderOf = (out: string) => `${resolve(out)}.progress`;

/** Whether something was kept of a run for `out`. */
export const isKept = async (out: string): Promise<boolean> => (await numbersOf(folderOf(out))).length > 0;

/** How far a run has come, on the disk, in `<out>.progress`; only one run at a time may have it. */
export class Progress implements AsyncDisposable {
  readonly found: Found | undefined;
  readonly #folder: string;
  readonly #options: ProgressOptions;
  readonly #release: () => Promise<void>;
  #next: number;
  #written = performance.now();
  #first = true;

  private constructor(
    folder: string,
    options: ProgressOptions,
    release: () => Promise<void>,
    next: number,
    found?: Found,
  ) {
    this.#folder = folder;
    this.#options = options;
    this.#release = release;
    this.#next = next;
    this.found = found;
  }

  /**
   * @throws OrtuneError `RUN_BUSY` when another run has it; with `resume`: `RESUME_NOTHING` when there is nothing to go on
   *   from, `RESUME_CHANGED` naming what is not as it was
   */
  static async open(options: ProgressOptions): Promise<Progress> {
    const folder = folderOf(options.out);
    const release = await acquire(folder, options.out);
    try {
      await removeAbandoned(folder);
      const found = await find(folder, options);
      const [newest = 0] = await numbersOf(folder);
      return new Progress(folder, options, release, newest + 1, found);
    } catch (error) {
      await release();
      await rmdir(folder).catch(() => {});
      throw error;
    }
  }

  /** @param save writes the session's state to a file */
  keeper(save: (path: string) => Promise<void>): Keeper {
    const { every } = this.#options;
    return {
      found: this.found,
      due: (passEnded) => {
        const seconds = (performance.now() - this.#written) / 1000;
        return seconds >= every * (passEnded ? AT_PASS_END : 1);
      },
      write: async (record, best) => {
        await this.#write(record, best, save);
        this.#written = performance.now();
      },
      newest: (options) => this.#newest(options),
    };
  }

  /** Once the result is in its place. */
  async finish(): Promise<void> {
    await keepNewest(this.#folder, 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#release();
    // Unless something was kept.
    await rmdir(this.#folder).catch(() => {});
  }

  async #newest({ before, discard }: Parameters<Keeper['newest']>[0]): Promise<Found | undefined> {
    // Until its first record, what lies there is another run's.
    if (this.#first && !this.found) return undefined;
    for (let below: number | undefined; ; ) {
      const stored = await newestState(this.#folder, this.#options.emit, below);
      if (!stored) return undefined;
      if (stored.state.record.updates < before) return foundIn(stored);
      if (discard) await removeRecord(this.#folder, stored.number);
      below = stored.number;
    }
  }

  async #write(record: PassRecord, best: Candidate | undefined, save: (path: string) => Promise<void>): Promise<void> {
    const values = best && [...best.values];
    const state: State = {
      fingerprint: this.#options.fingerprint,
      record,
      ...(best && {
        best: { ...best, values: values!.map(([name, bytes]) => [name, bytes.byteLength] as const) },
      }),
    };
    try {
      await writeRecord(this.#folder, this.#next++, {
        [CHECKPOINT]: save,
        [STATE]: Buffer.from(JSON.stringify(state)),
        ...(values && { [BEST]: Buffer.concat(values.map(([, bytes]) => bytes)) }),
      });
    } catch (error) {
      const refusal = outputError(`how far the run has come (${this.#folder})`, error);
      if (!(refusal instanceof OrtuneError && refusal.code === 'OUTPUT')) throw error;
      // Training is worth more than the record of it.
      this.#options.emit({ type: 'note', text: refusal.message });
      return;
    }
    if (this.#first) await keepNewest(this.#folder, 1);
    this.#first = false;
    this.#options.emit({ type: 'kept', folder: this.#folder, pass: record.pass, batches: record.batches });
  }
}

/** @throws OrtuneError `RUN_BUSY`, `OUTPUT` */
async function acquire(folder: string, out: string): Promise<() => Promise<void>> {
  const busy = (holder: Holder | undefined) => {
    const who = holder ? `process ${holder.pid}, since ${holder.since}` : 'its lock cannot be read';
    return new OrtuneError(
      'RUN_BUSY',
      `--out ${out}: expected no other run that writes to it, found one (${who}). Wait for it or stop it, or choose another --out.`,
    );
  };
  try {
    await makeFolder(folder);
    return await lock(join(folder, 'lock'), busy);
  } catch (error) {
    await rmdir(folder).catch(() => {});
    throw outputError(folder, error);
  }
}

async function find(folder: string, { out, resume, fingerprint, emit }: ProgressOptions): Promise<Found | undefined> {
  const stored = await newestState(folder, emit);
  if (!stored) {
    if (!resume) return undefined;
    throw new OrtuneError(
      'RESUME_NOTHING',
      `--resume: expected a run to go on with in ${folder}, found none. Leave --resume out to begin one.`,
    );
  }
  if (!resume) {
    const { pass, batches } = stored.state.record;
    const text = `an unfinished run lies in ${folder} (pass ${pass}, ${batches} batches); --resume would go on with it, this run will replace it.`;
    emit({ type: 'note', text });
    return undefined;
  }
  const changed = differences(stored.state.fingerprint, fingerprint);
  if (changed.length > 0) {
    throw new OrtuneError(
      'RESUME_CHANGED',
      `--resume: expected the run for ${out} as it was, but it has changed:\n${changed.map((line) => `  ${line}`).join('\n')}\n` +
        'Undo that, or leave --resume out to begin anew.',
    );
  }
  return foundIn(stored);
}

interface StoredState extends StoredRecord {
  readonly state: State;
}

/** The newest record that is whole and says where a run stood. */
async function newestState(folder: string, emit: Emit, before?: number): Promise<StoredState | undefined> {
  const tell = (damaged: string, reason: string) =>
    emit({ type: 'note', text: `${damaged} is damaged (${reason}); the record before it is used` });
  for (let below = before; ; ) {
    const stored = await newestRecord(folder, tell, below);
    if (!stored) return undefined;
    try {
      const state = parseState(await readFile(join(stored.folder, STATE), 'utf8'));
      const size = (await stat(join(stored.folder, BEST)).catch(() => undefined))?.size;
      const expected = state.best?.values.reduce((sum, [, bytes]) => sum + bytes, 0);
      if (size !== expected) throw new Error(`${BEST} has ${size} bytes, expected ${expected}`);
      return { ...stored, state };
    } catch (error) {
      tell(stored.folder, (error as Error).message);
      below = stored.number;
    }
  }
}

async function foundIn({ folder, state: { record, best } }: StoredState): Promise<Found> {
  return {
    record,
    best: best && (await readBest(join(folder, BEST), best)),
    folder,
    checkpoint: join(folder, CHECKPOINT),
  };
}

async function readBest(file: string, { values, ...best }: NonNullable<State['best']>): Promise<Candidate> {
  const bytes = await readFile(file);
  let start = 0;
  const read = new Map<string, Uint8Array>();
  for (const [name, length] of values) {
    // A copy, as numbers must lie at a multiple of their size.
    read.set(name, new Uint8Array(bytes.subarray(start, start + length)));
    start += length;
  }
  return { ...best, values: read };
}
