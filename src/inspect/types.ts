import type { Dimension } from '../../onnx/model.ts';

/**
 * What a tensor is to training.
 * - `trained`: has a gradient
 * - `frozen`: a parameter that training leaves as it is
 * - `moved`: a running statistic that live BatchNorm moves without a gradient
 * - `parameter`: a parameter of a file that does not say what is trained
 * - `optimizer`: what the optimizer remembers (moments, steps)
 * - `gradient`: a buffer in which the library accumulates gradients
 * - `constant`: any other fixed tensor of a graph
 */
export type Role = 'trained' | 'frozen' | 'moved' | 'parameter' | 'optimizer' | 'gradient' | 'constant';

/** In the order of a report. */
export const ROLES: readonly Role[] = ['trained', 'moved', 'frozen', 'parameter', 'optimizer', 'gradient', 'constant'];

/** Roles of what people call parameters. */
export const PARAMETER_ROLES: ReadonlySet<Role> = new Set<Role>(['trained', 'moved', 'frozen', 'parameter']);

/** A tensor's values in short; in JSON a number that is not finite reads `null`. */
export interface ValueSummary {
  /** Root of the sum of squares (L2). */
  readonly norm: number;
  readonly mean: number;
  readonly min: number;
  readonly max: number;
  /** How many are NaN or infinite; the other figures are those of the rest. */
  readonly nonFinite: number;
}

/** Element type under ONNX's names (`float32`), or `type 23` for one that has none here. */
export interface TensorType {
  readonly name: string;
  readonly type: string;
  readonly dims: readonly Dimension[];
}

export interface TensorDescription extends TensorType {
  readonly role: Role;
  /** Size of the values, in this file or wherever they are; `undefined` where the shape is open. */
  readonly bytes?: number;
  readonly elements?: number;
  /** None where the file does not hold them. */
  readonly values?: ValueSummary;
}

export interface Group {
  readonly role: Role;
  readonly tensors: number;
  readonly elements: number;
  readonly bytes: number;
}

/** Whether a BatchNorm normalises by the batch and moves its running statistics, or stays on them. */
export interface BatchNormDescription {
  readonly name: string;
  readonly mode: 'live' | 'frozen';
}

export type ModelKind = 'model' | 'training model' | 'evaluation model' | 'optimizer model';

export interface GraphDescription {
  readonly producer: string;
  /** Versions by domain; `''` is ai.onnx. */
  readonly opsets: Readonly<Record<string, number>>;
  readonly metadata: Readonly<Record<string, string>>;
  /** What a program feeds; parameters that are inputs are among the tensors. */
  readonly inputs: readonly TensorType[];
  readonly outputs: readonly TensorType[];
  /** How many nodes of each operator, branches included; of other domains than ai.onnx as `domain::Operator`. */
  readonly operators: Readonly<Record<string, number>>;
  readonly batchNorms: readonly BatchNormDescription[];
}

export interface CheckpointDescription {
  readonly optimizerGroups: readonly {
    readonly name: string;
    readonly step: number;
    readonly initialLearningRate: number;
    readonly parameters: number;
  }[];
  /** Whole numbers beyond 2^53 as text. */
  readonly properties: Readonly<Record<string, number | string>>;
  readonly nominal: boolean;
  readonly externalData: boolean;
}

/** What is in a file. */
export interface FileDescription {
  readonly path: string;
  /** Size of the file. */
  readonly bytes: number;
  readonly kind: ModelKind | 'checkpoint';
  readonly groups: readonly Group[];
  readonly graph?: GraphDescription;
  readonly checkpoint?: CheckpointDescription;
  readonly tensors: readonly TensorDescription[];
}

/** A tensor before its values are summarised. */
export interface HeldTensor extends TensorType {
  readonly role: Role;
  /** Little-endian, row-major bytes; none where the file does not hold them. */
  readonly data?: Uint8Array;
}

/** A file that has been read: its description without the values' summaries, and its bytes. */
export interface OpenFile extends Omit<FileDescription, 'bytes' | 'tensors' | 'groups'> {
  readonly content: Uint8Array;
  readonly tensors: readonly HeldTensor[];
}

/** What a stage does with parameters, known from its training model or checkpoint. */
export interface StageRoles {
  readonly trained: ReadonlySet<string>;
  readonly moved: ReadonlySet<string>;
}
