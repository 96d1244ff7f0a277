import type { BadImage, Dataset } from '../data/index.ts';

/**
 * What can be wrong with a data set, the most important first. Those of `LEAK` are test or validation pictures that are
 * also trained on, those of `LABELS` pictures that are in two classes.
 */
export const PROBLEM_CODES = [
  'IMAGE_UNREADABLE',
  'LEAK_DUPLICATE',
  'LEAK_NEAR_DUPLICATE',
  'LABELS_DUPLICATE',
  'LABELS_NEAR_DUPLICATE',
  'CLASS_UNTESTED',
  'CLASS_FEW',
  'CLASS_IMBALANCE',
  'DUPLICATE',
  'NEAR_DUPLICATE',
  'IMAGE_TINY',
  'IMAGE_PLAIN',
  'EXTENSION_MISMATCH',
  'DATASET_NOTE',
] as const;
export type ProblemCode = (typeof PROBLEM_CODES)[number];

/** Something wrong with a data set. */
export interface DataProblem {
  readonly code: ProblemCode;
  /** Training stops at an error. */
  readonly severity: 'error' | 'warning';
  /** The picture, or the data set's folder. */
  readonly path: string;
  /** Other pictures that have to do with it: what it is a duplicate of. */
  readonly related: readonly string[];
  readonly message: string;
}

export const PARTS = ['train', 'valid', 'test'] as const;
/** A part of a split. */
export type Part = (typeof PARTS)[number];
/** Pictures of each part of the split. */
export type PartCounts = Readonly<Record<Part, number>>;

/** In pixels. */
export interface Extent {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

/** What a look at a data set found. */
export interface DataReport {
  readonly root: string;
  readonly kind: Dataset['kind'];
  readonly split: string;
  readonly parts: PartCounts;
  readonly classes: readonly (PartCounts & { readonly name: string })[];
  /** Pictures by what they really are: `jpeg`, `png`, ...; those that can be decoded. */
  readonly formats: Readonly<Record<string, number>>;
  /** After EXIF orientation; of the pictures that can be decoded, `undefined` when none can. */
  readonly width: Extent | undefined;
  readonly height: Extent | undefined;
  /** How many short sides lie from `from` to below `to` (`null`: without end), in pixels. */
  readonly shortSides: readonly { readonly from: number; readonly to: number | null; readonly count: number }[];
  /** The most important first. */
  readonly problems: readonly DataProblem[];
  readonly seconds: number;
}

/** How far it is: bytes of an archive, pictures read, pictures compared with those before them. */
export interface CheckEvent {
  readonly type: 'progress';
  readonly task: 'archive' | 'pictures' | 'duplicates';
  readonly done: number;
  readonly total: number;
}

/** The pictures that cannot be decoded. */
export const badImagesOf = ({ problems }: DataReport): BadImage[] =>
  problems.flatMap(({ code, path, message }) => (code === 'IMAGE_UNREADABLE' ? [{ file: path, reason: message }] : []));
