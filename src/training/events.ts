import type { AugmentationOptions } from '../augment/index.ts';
import type { DataReport } from '../check-data/index.ts';
import type { BadImage, Dataset } from '../data/index.ts';
import type { ExportRecord } from '../export/index.ts';
import type { KernelLibrary } from '../runtime/index.ts';
import type { MappingReport } from '../weights/index.ts';
import type { Rollback } from './pass-state.ts';

/** What happens in a run, for whoever shows or records it. All counts are of pictures unless said otherwise. */
export type TrainingEvent =
  /** A part of several in a row begins: what it does, in words. */
  | { readonly type: 'phase'; readonly phase: Phase; readonly text: string }
  /** A stage begins to train: what is to come, before it may stop early. */
  | {
      readonly type: 'start';
      readonly stage: 'pretrain' | 'finetune';
      readonly passes: number;
      /** Pictures of a pass. */
      readonly trainSize: number;
      readonly batchSize: number;
      /** What is done to training pictures at random. */
      readonly augment: boolean | AugmentationOptions;
      /** Of the order and the crops. */
      readonly seed: number;
    }
  /** What a look at the data before training found. */
  | { readonly type: 'data-report'; readonly report: DataReport }
  | { readonly type: 'dataset'; readonly dataset: Dataset }
  /** Broken pictures that were left out. */
  | { readonly type: 'bad-images'; readonly images: readonly BadImage[] }
  /** Something that a user should know of, though it stops nothing. */
  | { readonly type: 'note'; readonly text: string }
  | { readonly type: 'weights'; readonly report: MappingReport }
  | {
      readonly type: 'device';
      readonly device: 'cpu' | 'cuda';
      readonly reason: string;
      readonly threads: number;
      /** `native`: updates are made by ortune's own operators. */
      readonly kernels: 'stock' | 'native';
      /** The library that convolutions train by, where it is not ONNX Runtime. */
      readonly layers?: KernelLibrary;
    }
  | {
      readonly type: 'progress';
      readonly task:
        | 'archive'
        | 'calibrate'
        | 'check'
        | 'download'
        | 'duplicates'
        | 'features'
        | 'rates'
        | 'train'
        | 'test';
      /** Counted from 0; absent where there are no passes. */
      readonly pass?: number;
      readonly done: number;
      readonly total: number;
    }
  /** After each training step: the batch's own mean cross-entropy and share of right answers. */
  | ({
      readonly type: 'batch';
      /** Milliseconds that the step had to wait for its pictures. */
      readonly waitMs: number;
    } & StepRecord)
  /** Gradients overflowed in half precision: the update that this batch was to end is left out, and the loss scale lowered. */
  | { readonly type: 'overflow'; readonly pass: number; readonly batch: number }
  /** Something was no finite number: training goes on from an earlier state, what has been told since then being void. */
  | ({ readonly type: 'rollback' } & Rollback)
  /** After each pass over the training split. */
  | {
      readonly type: 'pass';
      readonly pass: number;
      /** Means over the training pictures as they were trained on. */
      readonly cost: number;
      readonly accuracy: number;
      readonly picturesPerSecond: number;
      /** Share of the time that steps had to wait for pictures. */
      readonly dataWait: number;
    }
  /** After each pass: over the test split, every picture counting the same. */
  | {
      readonly type: 'test';
      readonly pass: number;
      readonly part: 'test' | 'valid';
      readonly cost: number;
      readonly accuracy: number;
      /** The same over batches, however small the last. */
      readonly batchMean?: { readonly cost: number; readonly accuracy: number };
    }
  /** The head solver tried a regularisation: its cost and accuracy are on training pictures held out. */
  | {
      readonly type: 'head-fit';
      readonly tried: number;
      readonly regularisation: number;
      readonly cost: number;
      readonly accuracy: number;
    }
  /** Training ends before its time: no pass has been better than `best` for as long as one was waited for, or it was asked to. */
  | { readonly type: 'stopped'; readonly pass: number; readonly best?: number }
  /** A model in a smaller form has been written. */
  | { readonly type: 'exported'; readonly record: ExportRecord }
  /** How far the run has come is on the disk, to go on from. */
  | { readonly type: 'kept'; readonly folder: string; readonly pass: number; readonly batches: number }
  | { readonly type: 'saved'; readonly folder: string; readonly seconds: number };

/** The parts of `fit`. */
export type Phase = 'check' | 'network' | 'pretrain' | 'finetune';

/** A training step, each number counted from 0. */
export interface StepRecord {
  /** Over all passes. */
  readonly step: number;
  readonly pass: number;
  /** Within the pass. */
  readonly batch: number;
  /** Of the update that the batch is part of. */
  readonly learningRate: number;
  readonly cost: number;
  readonly accuracy: number;
}

/** Told of what happens in a run. */
export type Emit = (event: TrainingEvent) => void;
