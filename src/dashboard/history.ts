import { linesOf } from '../report/lines.ts';
import { StageProgress } from '../report/stage-progress.ts';
import type { TrainedPass } from '../report-html/sections/training.ts';
import type { StepRecord, TrainingEvent } from '../training/index.ts';

type Of<Type extends TrainingEvent['type']> = Extract<TrainingEvent, { type: Type }>;

/** Steps kept of a stage; of more than these, those with the extremes of the loss. */
const STEPS = 4096;
/** Lines kept of what is told, and letters of each. */
const LINES = 12;
const LETTERS = 300;
/** What curves and figures say already. */
const SHOWN: ReadonlySet<TrainingEvent['type']> = new Set(['phase', 'start', 'batch', 'progress', 'pass', 'test']);

/** A stage as it trains. */
export interface Stage {
  readonly start: Of<'start'>;
  readonly progress: StageProgress;
  readonly steps: readonly StepRecord[];
  readonly passes: readonly TrainedPass[];
  /** After each pass. */
  readonly tests: readonly Of<'test'>[];
}

/** How a run ended. */
export type Outcome = 'done' | { readonly error: string };

/** What is known of a run so far. Its size is bounded, however long the run. */
export class RunHistory {
  dataset: Of<'dataset'>['dataset'] | undefined;
  device: Of<'device'> | undefined;
  /** The part that goes on, where the run has several. */
  phase: Of<'phase'> | undefined;
  /** What goes on just now. */
  task: Of<'progress'> | undefined;
  outcome: Outcome | undefined;
  #stage: { start: Of<'start'>; progress: StageProgress; passes: TrainedPass[]; tests: Of<'test'>[] } | undefined;
  #steps: StepRecord[] = [];
  #lines: string[] = [];

  /** The last that began. */
  get stage(): Stage | undefined {
    return this.#stage && { ...this.#stage, steps: this.#steps };
  }

  /** What was told last. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  add(event: TrainingEvent): void {
    switch (event.type) {
      case 'dataset':
        this.dataset = event.dataset;
        break;
      case 'device':
        this.device = event;
        break;
      case 'phase':
        this.phase = event;
        this.task = undefined;
        break;
      case 'start':
        this.#stage = { start: event, progress: new StageProgress(event), passes: [], tests: [] };
        this.#steps = [];
        break;
      case 'progress':
        this.task = event;
        if (event.task === 'train') this.#stage?.progress.add(event);
        break;
      case 'batch':
        this.#stage?.progress.add(event);
        this.#steps.push(event);
        if (this.#steps.length > STEPS) this.#steps = thinned(this.#steps);
        break;
      case 'rollback':
        this.#goBack(event);
        break;
      case 'pass':
        this.#addPass(event);
        break;
      case 'test':
        this.#addTest(event);
        break;
    }
    this.#tell(event);
  }

  /** What has been told since is void. */
  #goBack({ to }: Of<'rollback'>): void {
    const stage = this.#stage;
    if (!stage) return;
    this.#steps = this.#steps.filter(({ step }) => step < to.steps);
    const isDone = ({ pass }: { pass: number }) => pass < to.pass;
    this.#stage = { ...stage, passes: stage.passes.filter(isDone), tests: stage.tests.filter(isDone) };
  }

  #addPass(event: Of<'pass'>): void {
    this.#stage?.progress.add(event);
    const { pass, cost, accuracy } = event;
    const learningRate = this.#steps.at(-1)?.learningRate ?? 0;
    this.#stage?.passes.push({ pass, learningRate, trainCost: cost, trainAccuracy: accuracy });
  }

  #addTest(event: Of<'test'>): void {
    const stage = this.#stage;
    if (!stage) return;
    stage.progress.add(event);
    stage.tests.push(event);
    const at = stage.passes.findIndex(({ pass }) => pass === event.pass);
    const passed = stage.passes[at];
    if (passed) stage.passes[at] = { ...passed, testCost: event.cost, testAccuracy: event.accuracy };
  }

  #tell(event: TrainingEvent): void {
    if (SHOWN.has(event.type)) return;
    for (const line of linesOf(event, {}).flatMap((text) => text.split('\n'))) {
      if (line.trim() !== '') this.#lines.push(line.slice(0, LETTERS));
    }
    this.#lines = this.#lines.slice(-LINES);
  }
}

/** Of each four steps the two with the least and the greatest loss. */
function thinned(steps: readonly StepRecord[]): StepRecord[] {
  return Array.from({ length: Math.ceil(steps.length / 4) }, (_, index) => {
    const four = steps.slice(4 * index, 4 * index + 4);
    const [least, ...others] = four.toSorted((left, right) => left.cost - right.cost);
    return [least!, ...others.slice(-1)].toSorted((left, right) => left.step - right.step);
  }).flat();
}
