/** A virtual environment that `setup.mjs` makes. */
export interface Environment {
  /** Its interpreter. */
  readonly python: string;
  /** Path of the script with the commands that run in it. */
  readonly script: string;
  /** Whether it is there, complete, and has the pinned packages. */
  isReady(): boolean;
}
/** The official generator of training artifacts, and PaddlePaddle. */
export const official: Environment;
/** PyTorch and torchvision. */
export const pytorch: Environment;
/** TensorBoard. */
export const tensorboard: Environment;
/** ONNX Runtime's wheel, which serves models. */
export const serving: Environment;
/** Schemathesis. */
export const fuzzing: Environment;
/** Whether `ORTUNE_REQUIRE_PARITY=1` makes the absence of an environment an error. */
export const required: boolean;
