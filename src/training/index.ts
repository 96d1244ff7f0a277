export type { StepRecord, TrainingEvent } from './events.ts';
export { type FindRateOptions, findRate } from './find-rate.ts';
export { finetune } from './finetune.ts';
export { FINETUNE_DEFAULTS, type FinetuneOptions, PRETRAIN_DEFAULTS, type PretrainOptions } from './options.ts';
export type { PassResult } from './passes.ts';
export { pretrain, type StageResult } from './pretrain.ts';
export type { Run, RunOptions, TrainingControl, TrainingListener } from './run.ts';
