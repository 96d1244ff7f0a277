import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Artifacts, decodeModel, type Optimizer } from '../../onnx/index.ts';
import { parseKernels, type UncoveredNode, uncovered } from '../../onnx/kernels.ts';
import { readCudaKernels } from '../../src/runtime/cuda-kernels.ts';

/** A node of one of the written models that the CUDA provider has no kernel for. */
export interface Uncovered extends UncoveredNode {
  readonly model: 'training' | 'eval' | 'optimizer';
}

/**
 * What the CUDA provider beside a training library lacks for a plan's models, told without a GPU.
 *
 * @returns `undefined` when there is no CUDA provider beside the library
 */
export async function findUncovered(
  artifacts: Artifacts<Optimizer>,
  libraryPath: string,
): Promise<Uncovered[] | undefined> {
  const provider = join(dirname(libraryPath), 'libonnxruntime_providers_cuda.so');
  if (!existsSync(provider)) return undefined;
  const kernels = parseKernels(await readCudaKernels(provider));
  const models = {
    training: artifacts.trainingModel,
    eval: artifacts.evalModel,
    optimizer: artifacts.optimizerModel as Uint8Array | undefined,
  };
  return Object.entries(models).flatMap(([model, bytes]) =>
    bytes === undefined
      ? []
      : uncovered(decodeModel(bytes), kernels).map((node) => ({ ...node, model: model as Uncovered['model'] })),
  );
}
