export { Classifier, type ClassProbability } from './classifier.ts';
export { classifierMetadata, withClassifierMetadata } from './metadata.ts';
export { InferenceWorker } from './worker-session.ts';
