export {
  type LoadedWeights,
  type LoadOptions,
  loadWeights,
  type MappingReport,
  type ParameterSpec,
} from './mapping.ts';
export { openWeights } from './open.ts';
export { type PaddleVariable, writePaddleFolder } from './paddle-writer.ts';
export { formatReport } from './report.ts';
export type { WeightFile, WeightFormat, WeightInfo, WeightTensor } from './types.ts';
