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
export { type Dataset, openDataset, type Sample } from './data/index.ts';
export { OrtuneError } from './errors.ts';
export { Classifier, type ClassProbability } from './inference/index.ts';
export { CheckpointState, Runtime, type Tensor, TrainingSession } from './runtime/index.ts';
export {
  type FinetuneOptions,
  finetune,
  type PassResult,
  type PretrainOptions,
  pretrain,
  type StageResult,
  type TrainingEvent,
} from './training/index.ts';
export { loadWeights, openWeights } from './weights/index.ts';
