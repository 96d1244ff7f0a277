/** A stage's command in a process of its own, watched closely enough to be disturbed at any moment. */
import type { ChildProcess } from 'node:child_process';
import { type FSWatcher, watch } from 'node:fs';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Random } from '../../src/random.ts';
import type { TrainingEvent } from '../../src/training/index.ts';
import { type CommandName, commandLine, type Outcome, runProcess } from '../../test/cli/command.ts';

/** Where results go, within the folder that a command runs in; and the result, beside which its run is kept. */
export const RESULTS = 'results';
export const OUT = 'two';
export const PROGRESS = `${OUT}.progress`;

/** What a run may be at. */
export const PHASES = ['starting', 'preparing', 'training', 'recording', 'testing', 'saving', 'ending'] as const;
export type Phase = (typeof PHASES)[number];

/** When something is done to a run. */
export interface Moment {
  readonly phase: Phase;
  /** Training step from which the phase counts, where it comes more than once. */
  readonly step: number;
  /** Milliseconds from the phase's beginning. */
  readonly delay: number;
}

/** A moment by chance, in a phase that takes as long as it took another run. */
export function drawMoment(random: Random, { spans }: Pick<StageRun, 'spans'>, phase: Phase, step: number): Moment {
  const atSteps = phase === 'training' || phase === 'recording' || phase === 'testing';
  return { phase, step: atSteps ? step : -1, delay: spans[phase] * random.uniform() };
}

export interface Disturbance {
  readonly moment: Moment;
  /** What is done then. */
  act(child: ChildProcess): unknown;
}

/** How far training has come. */
export interface Place {
  readonly pass: number;
  /** Of the pass, that are done. */
  readonly batches: number;
}

export interface StageRun extends Outcome {
  readonly events: readonly TrainingEvent[];
  /** What it was at when it was disturbed; nothing where the moment did not come. */
  readonly disturbed: Phase | undefined;
  /** Milliseconds that its phases took, of those that come more than once the longest. */
  readonly spans: Readonly<Record<Phase, number>>;
}

/**
 * @param folder that the command runs in
 * @param options.shell what a shell is to do before the command
 */
export async function runStage(
  folder: string,
  command: CommandName,
  args: readonly string[],
  { disturbance, shell }: { disturbance?: Disturbance | undefined; shell?: string } = {},
): Promise<StageRun> {
  const watcher = new Watcher(folder, disturbance);
  const words = commandLine(command, args);
  const program = shell === undefined ? words : ['sh', '-c', `${shell}; exec "$@"`, 'sh', ...words];
  try {
    const outcome = await runProcess(folder, program, { watch: (child) => watcher.begin(child) });
    return { ...outcome, ...watcher.found() };
  } finally {
    watcher.end();
  }
}

/** Follows a run by the events that it prints and by the names that come up in its folders. */
class Watcher {
  readonly #folder: string;
  readonly #disturbance: Disturbance | undefined;
  readonly #watchers: FSWatcher[] = [];
  readonly #events: TrainingEvent[] = [];
  readonly #spans = Object.fromEntries(PHASES.map((phase) => [phase, 0])) as Record<Phase, number>;
  #child: ChildProcess | undefined;
  #phase: Phase = 'starting';
  #since = performance.now();
  #step = -1;
  #watchesRecords = false;
  #timer: NodeJS.Timeout | undefined;
  #disturbed: Phase | undefined;

  constructor(folder: string, disturbance: Disturbance | undefined) {
    this.#folder = join(folder, RESULTS);
    this.#disturbance = disturbance;
  }

  begin(child: ChildProcess): void {
    this.#child = child;
    this.#enter('starting');
    this.#watch(this.#folder, (name) => {
      if (name === PROGRESS) this.#watchRecords();
      if (name.startsWith(`.${OUT}.new-`) && this.#phase !== 'saving') this.#enter('saving');
      if (name === OUT && this.#phase === 'saving') this.#enter('ending');
    });
    access(join(this.#folder, PROGRESS)).then(
      () => this.#watchRecords(),
      () => {},
    );
    createInterface({ input: child.stdout! }).on('line', (line) => {
      if (line.startsWith('{')) this.#hear(JSON.parse(line));
    });
    child.once('exit', () => {
      this.#leave();
      clearTimeout(this.#timer);
    });
  }

  end(): void {
    for (const watcher of this.#watchers) watcher.close();
  }

  found(): Pick<StageRun, 'events' | 'disturbed' | 'spans'> {
    return { events: this.#events, disturbed: this.#disturbed, spans: this.#spans };
  }

  #watchRecords(): void {
    if (this.#watchesRecords) return;
    this.#watchesRecords = this.#watch(join(this.#folder, PROGRESS), (name) => {
      if (name === '.new' && this.#phase !== 'recording') this.#enter('recording');
    });
  }

  /** Whether there is something to watch. */
  #watch(folder: string, onName: (name: string) => void): boolean {
    try {
      const watcher = watch(folder, (_, name) => name !== null && onName(name));
      this.#watchers.push(watcher.on('error', () => {}));
      return true;
    } catch {
      return false;
    }
  }

  #hear(event: TrainingEvent): void {
    this.#events.push(event);
    // What was printed before a result is there may come after it is seen.
    if (this.#phase === 'saving' || this.#phase === 'ending') return;
    if (event.type === 'batch') {
      this.#step = event.step;
      this.#enter('training');
    } else if (event.type === 'progress' && event.task === 'test') {
      if (this.#phase !== 'testing') this.#enter('testing');
    } else if (event.type === 'kept') {
      this.#enter('training');
    } else if (this.#phase === 'starting') {
      this.#enter('preparing');
    }
  }

  #enter(phase: Phase): void {
    this.#leave();
    this.#phase = phase;
    this.#since = performance.now();
    if (!this.#disturbance || this.#timer) return;
    const { moment, act } = this.#disturbance;
    if (moment.phase !== phase || this.#step < moment.step) return;
    this.#timer = setTimeout(() => {
      this.#disturbed = this.#phase;
      act(this.#child!);
    }, moment.delay);
  }

  #leave(): void {
    const span = performance.now() - this.#since;
    this.#spans[this.#phase] = Math.max(this.#spans[this.#phase], span);
  }
}
