import { availableParallelism } from 'node:os';
import {
  type Artifacts,
  buildArtifacts,
  bytesOf,
  type Model,
  type Optimizer,
  type TrainingPlan,
} from '../../onnx/index.ts';
import { CheckpointState, type CudaOptions, TrainingSession } from '../runtime/index.ts';
import type { Device } from './device.ts';
import type { Emit } from './events.ts';
import { graphStepper, libraryStepper, type Stepper } from './stepper.ts';

export interface SessionOptions extends Device {
  readonly threads?: number | undefined;
  readonly emit: Emit;
}

/** A model in training: its session and the state that the session moves. */
export interface Training extends AsyncDisposable {
  readonly session: TrainingSession;
  readonly state: CheckpointState;
  readonly stepper: Stepper;
  readonly device: SessionDevice;
  /** Whether batches must all have one shape: on CUDA, cuDNN searches its algorithms anew for each. */
  readonly constantShape: boolean;
}

export interface SessionDevice {
  readonly device: 'cpu' | 'cuda';
  /** With `device` `'cuda'` only. */
  readonly cuda?: CudaOptions;
  readonly threads: number;
}

/** Writes the artifacts of a plan and opens a session on them. */
export async function openTraining(
  model: Model,
  plan: TrainingPlan<Optimizer>,
  options: SessionOptions,
): Promise<Training> {
  const { device: kind, cuda, reason, threads = availableParallelism(), emit } = options;
  const device = { device: kind, threads, ...(cuda && { cuda }) };
  emit({ type: 'device', device: kind, reason, threads });
  const artifacts = buildArtifacts(model, plan);
  const opened = await openSession(artifacts, device);
  return {
    ...opened,
    stepper: artifacts.optimizerModel ? libraryStepper(opened.session) : graphStepper(opened.session),
    device,
    constantShape: kind === 'cuda',
  };
}

/** A session and its state, which go together. */
export type OpenSession = Pick<Training, 'session' | 'state' | typeof Symbol.asyncDispose>;

/** Opens a session on artifacts. */
export async function openSession(
  artifacts: Artifacts<Optimizer>,
  { device, cuda = {}, threads }: SessionDevice,
): Promise<OpenSession> {
  const state = await CheckpointState.load(artifacts.checkpoint);
  try {
    const session = await TrainingSession.create({
      checkpointState: state,
      trainModel: artifacts.trainingModel,
      evalModel: artifacts.evalModel,
      optimizerModel: artifacts.optimizerModel,
      options: { intraOpThreads: threads, ...(device === 'cuda' && { cuda }) },
    });
    return {
      session,
      state,
      async [Symbol.asyncDispose]() {
        await session.dispose();
        await state.dispose();
      },
    };
  } catch (error) {
    await state.dispose();
    throw error;
  }
}

/** The state's present values of the named parameters, as bytes. */
export async function parameterBytes(
  state: CheckpointState,
  names: Iterable<string>,
): Promise<Map<string, Uint8Array>> {
  const values = new Map<string, Uint8Array>();
  for (const name of names) values.set(name, bytesOf((await state.getParameter(name)).data));
  return values;
}
