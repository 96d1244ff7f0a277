export { type CudaCoverage, cudaCoverage, formatCoverage } from './cuda.ts';
export { describeFile } from './describe.ts';
export { diffPaths, type FileDiff, type PathDiff } from './diff.ts';
export { formatFile, formatTensors, isParameter, mainTensors } from './format.ts';
export { formatDiff } from './format-diff.ts';
export { type OpenPath, openPath } from './open.ts';
export type { FileDescription, HeldTensor, Role, TensorDescription } from './types.ts';
