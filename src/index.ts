/** ortune as a library. */

export {
  type Artifacts,
  buildArtifacts,
  buildResNet,
  decodeModel,
  encodeModel,
  headOnly,
  type Model,
  type ResNetOptions,
  summarise,
  type TrainingPlan,
  wholeNetwork,
} from '../onnx/index.ts';
export { type AugmentationOptions, checkAugmentation } from './augment/index.ts';
export { type BuildGraphOptions, type BuiltGraph, buildGraph } from './build-graph.ts';
export { type CheckDataOptions, checkData, type DataProblem, type DataReport } from './check-data/index.ts';
export { type Dashboard, type DashboardOptions, dashboard } from './dashboard/index.ts';
export { type Dataset, openDataset, readSample, type Sample } from './data/index.ts';
export { type DownloadEvent, download } from './download/index.ts';
export { OrtuneError } from './errors.ts';
export { type ExportOptions, type ExportRecord, exportModel } from './export/index.ts';
export { type FitOptions, type FitResult, fit } from './fit/index.ts';
export {
  type ActivationMap,
  type Classifier,
  type ClassProbability,
  type EvaluateOptions,
  evaluate,
  loadModel,
  type ModelCard,
  type Prediction,
  type PredictOptions,
  predict,
  readModelCard,
} from './inference/index.ts';
export { Evaluation, type EvaluationResult } from './metrics/index.ts';
export { checkRecipe, loadRecipe, type Recipe } from './recipes/index.ts';
export { CheckpointState, Runtime, type Tensor, TrainingSession } from './runtime/index.ts';
export { type RequestRecord, type RunningServer, type ServeOptions, serve } from './serve/index.ts';
export { type Recorder, tensorBoardRecorder } from './tensorboard/index.ts';
export {
  type FindRateOptions,
  type FinetuneOptions,
  findRate,
  finetune,
  type PassResult,
  type PretrainOptions,
  pretrain,
  type Run,
  type StageResult,
  type TrainingControl,
  type TrainingEvent,
} from './training/index.ts';
export type * from './types.ts';
export { loadWeights, openWeights } from './weights/index.ts';
