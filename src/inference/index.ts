export {
  type ActivationMap,
  Classifier,
  type ClassifierOutput,
  type ClassProbability,
  loadModel,
} from './classifier.ts';
export { type DataPart, type EvaluateOptions, evaluate, type ModelEvaluation } from './evaluate.ts';
export { classifierMetadata, parseClassNames, withClassifierMetadata } from './metadata.ts';
export {
  type ModelCard,
  modelCard,
  readModelCard,
  type StoredPrecision,
  type TestFigures,
  testFigures,
  withModelCard,
} from './model-card.ts';
export { readModelFile, sha256Of } from './model-file.ts';
export { type Prediction, type PredictOptions, predict } from './predict.ts';
export { InferenceWorker } from './worker-session.ts';
