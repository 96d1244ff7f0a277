/** Where a parameter lies in a source that uses other names. */
export interface SourceName {
  readonly name: string;
  /** The source keeps the matrix the other way round. */
  readonly transpose?: boolean;
}

/** A way of naming a network's parameters: from ortune's names (the tutorial's) to the source's. */
export interface Dialect {
  readonly name: string;
  /** `undefined` for a parameter that the dialect has no name for. */
  readonly locate: (parameter: string) => SourceName | undefined;
  /** Names that such sources hold beside parameters, and that say nothing to ortune. */
  readonly isBookkeeping?: (name: string) => boolean;
}
