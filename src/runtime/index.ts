export type { CudaMemory, KernelLibrary } from './addon.ts';
export { CheckpointState } from './checkpoint-state.ts';
export { type LocatedLibrary, locateKernels, locateLibrary } from './locate.ts';
export { type CudaOptions, findInvalidCuda, type SessionOptions } from './options.ts';
export { Runtime } from './runtime.ts';
export type { Tensor, TensorType } from './tensor.ts';
export { type Tensors, TrainingSession, type TrainingSessionSource } from './training-session.ts';
