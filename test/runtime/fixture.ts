import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { OrtuneError } from '../../src/errors.ts';
import { CheckpointState, type SessionOptions, type Tensors, TrainingSession } from '../../src/runtime/index.ts';
import { artifacts } from './artifacts.ts';

/** A folder that goes when the test has finished. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'ortune-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** The artifacts as files. */
export function artifactFiles(folder = temporaryFolder()) {
  const { trainingModel, evalModel, optimizerModel, checkpoint } = artifacts();
  const write = (name: string, bytes: Uint8Array) => {
    const file = join(folder, name);
    writeFileSync(file, bytes);
    return file;
  };
  return {
    trainModel: write('training_model.onnx', trainingModel),
    evalModel: write('eval_model.onnx', evalModel),
    optimizerModel: write('optimizer_model.onnx', optimizerModel),
    checkpoint: write('checkpoint', checkpoint),
  };
}

/** One thread, so that the same steps give the same bits. Disposed when the test has finished. */
export async function openSession(checkpoint: string | Uint8Array = artifacts().checkpoint, options?: SessionOptions) {
  const { trainingModel, evalModel, optimizerModel } = artifacts();
  const state = await CheckpointState.load(checkpoint);
  const session = await TrainingSession.create({
    checkpointState: state,
    trainModel: trainingModel,
    evalModel,
    optimizerModel,
    options: { intraOpThreads: 1, ...options },
  });
  onTestFinished(async () => {
    await session.dispose();
    await state.dispose();
  });
  return { state, session };
}

export function floats(tensors: Tensors, name: string): Float32Array {
  const tensor = tensors[name];
  if (tensor?.type !== 'float32') throw new Error(`no float32 '${name}'`);
  return tensor.data;
}

export const lossOf = (tensors: Tensors): number => floats(tensors, 'loss')[0] as number;

/** The `OrtuneError` that a call ends with. */
export async function failure(call: () => unknown): Promise<OrtuneError> {
  try {
    await call();
  } catch (error) {
    if (error instanceof OrtuneError) return error;
    throw error;
  }
  throw new Error('the call succeeded');
}
