export { Classifier, type ClassProbability } from './classifier.ts';
export { type DataPart, type EvaluateOptions, evaluate, type ModelEvaluation } from './evaluate.ts';
export { classifierMetadata, parseClassNames, withClassifierMetadata } from './metadata.ts';
export { InferenceWorker } from './worker-session.ts';
