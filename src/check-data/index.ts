export { type CheckDataOptions, checkData } from './check-data.ts';
export { formatReport } from './format.ts';
export type { CheckEvent, DataProblem, DataReport, ProblemCode } from './types.ts';
