export { type CheckDataOptions, checkData } from './check-data.ts';
export { formatReport } from './format.ts';
export { badImagesOf, type CheckEvent, type DataProblem, type DataReport, type ProblemCode } from './types.ts';
