export { Classifier, type ClassProbability } from './classifier.ts';
export { classifierMetadata, parseClassNames, withClassifierMetadata } from './metadata.ts';
export { InferenceWorker } from './worker-session.ts';
