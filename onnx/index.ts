export { ACTIVATION_MAPS, withActivationMaps } from './activation-maps.ts';
export {
  type Artifacts,
  buildArtifacts,
  headOnly,
  movedStatistics,
  type Optimizer,
  type Precision,
  type TrainingPlan,
  wholeNetwork,
} from './artifacts.ts';
export { classCount } from './class-count.ts';
export { encodeModel, encodeModelChunks } from './encode.ts';
export { foldBatchNorms } from './fold-batch-norm.ts';
export { withHalfWeights } from './half.ts';
export { atImageSize } from './image-size.ts';
export { LABEL, LOSS, type LossOptions, NO_LABEL } from './loss.ts';
export { LOSS_SCALE, OVERFLOW } from './loss-scale.ts';
export {
  bytesOf,
  decodeModel,
  floatsOf,
  type Graph,
  type Initializer,
  type Model,
  type Node,
} from './model.ts';
export { averageOf } from './names.ts';
export { type Kernels, ORTUNE } from './native-update.ts';
export { ADAM_DEFAULTS, type AdamOptions } from './optimizer.ts';
export { type BatchNormMode, parametersOf, runningStatistics } from './parameters.ts';
export { INPUT_NORMALISATIONS, type InputNormalisationName, PIXELS } from './preprocess.ts';
export { quantise, quantisedTensors } from './quantise.ts';
export {
  buildResNet,
  FEATURES,
  HEAD_PARAMETERS,
  IMAGE,
  LOGITS,
  networkOf,
  PROBABILITIES,
  RESNET_DEFAULTS,
  RESNETS,
  type ResNetOptions,
} from './resnet.ts';
export { extract, withInitializers } from './subgraph.ts';
export { type Summary, summarise } from './summary.ts';
export { leastOf, meansOf, mostOf, type TensorStatistics, withStatistics } from './tensor-statistics.ts';
export { type AdamAlgorithm, type GraphOptimizer, type SgdAlgorithm, UPDATE_INPUTS } from './update.ts';
