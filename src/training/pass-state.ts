import type { EvaluationResult } from '../metrics/index.ts';
import type { Progress } from '../schedules/index.ts';
import type { StepRecord } from './events.ts';
import { WeightedMean } from './metrics.ts';
import type { PassResult } from './passes.ts';
import type { RankedPass } from './top-passes.ts';

/** A result so far: the values of what is trained, and their test. */
export interface Candidate {
  /** Number of the pass. */
  readonly kept: number;
  readonly values: ReadonlyMap<string, Uint8Array>;
  readonly evaluation: EvaluationResult | undefined;
}

/** A return to an earlier state, from one in which something was no finite number. */
export interface Rollback {
  /** Where that was found, each counted from 0. */
  readonly pass: number;
  readonly batch: number;
  /** Of the update there. */
  readonly learningRate: number;
  /** What was found. */
  readonly reason: string;
  /** Where training went on, at a tenth of the rate: with this pass, of which so many batches, and so many steps of all passes, are done. */
  readonly to: { readonly pass: number; readonly batches: number; readonly steps: number };
}

/** Where passes stand between two updates, as plain data: with what is trained, all that it takes to go on from there. */
export interface PassRecord {
  readonly pass: number;
  /** Batches of the pass that have been trained on. */
  readonly batches: number;
  /** Updates of all passes. */
  readonly updates: number;
  readonly learningRate: number;
  /** What was asked for while it trained. */
  readonly askedRate?: number;
  /** Sum and weight of the pass's mean so far. */
  readonly cost: readonly [number, number];
  readonly accuracy: readonly [number, number];
  /** Pictures of the pass. */
  readonly done: number;
  /** Milliseconds of the pass so far, and those of them that steps waited for pictures. */
  readonly trainedMs: number;
  readonly waitedMs: number;
  readonly lossScale?: readonly [number, number];
  readonly history: readonly PassResult[];
  readonly steps: readonly StepRecord[];
  readonly progress: Progress;
  /** Of the last pass that was tested. */
  readonly evaluation?: EvaluationResult;
  /** Returns to earlier states so far: each takes the learning rate to a tenth. */
  readonly rollbacks: readonly Rollback[];
  /** Passes that tested best, where some are results of their own. */
  readonly top: readonly RankedPass[];
  /** Whether no more passes are to come. */
  readonly ended: boolean;
}

/** The pass in progress: what of it has been trained. */
export class PassState {
  readonly pass: number;
  batches = 0;
  done = 0;
  waitedMs = 0;
  cost = new WeightedMean();
  accuracy = new WeightedMean();
  /** When it began, as if it had not been interrupted. */
  readonly #began: number;

  constructor(pass: number, from?: PassRecord) {
    this.pass = pass;
    this.#began = performance.now() - (from?.trainedMs ?? 0);
    if (!from) return;
    this.batches = from.batches;
    this.done = from.done;
    this.waitedMs = from.waitedMs;
    this.cost = new WeightedMean(...from.cost);
    this.accuracy = new WeightedMean(...from.accuracy);
  }

  get trainedMs(): number {
    return performance.now() - this.#began;
  }

  record(): Pick<PassRecord, 'pass' | 'batches' | 'done' | 'trainedMs' | 'waitedMs' | 'cost' | 'accuracy'> {
    const { pass, batches, done, trainedMs, waitedMs } = this;
    return { pass, batches, done, trainedMs, waitedMs, cost: this.cost.parts, accuracy: this.accuracy.parts };
  }
}
