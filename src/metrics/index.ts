export type { CalibrationBin, CalibrationResult } from './calibration.ts';
export type { ClassResult } from './classes.ts';
export { type HistoryRow, historyCsv } from './csv.ts';
export {
  type Confusion,
  Evaluation,
  type EvaluationOptions,
  type EvaluationResult,
  type ScoredBatch,
  type TopLoss,
} from './evaluation.ts';
export { formatEvaluation } from './format.ts';
