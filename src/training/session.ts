import { availableParallelism } from 'node:os';
import { buildArtifacts, bytesOf, type Model, type Optimizer, type TrainingPlan } from '../../onnx/index.ts';
import { CheckpointState, TrainingSession } from '../runtime/index.ts';
import { chooseDevice, type DeviceChoice } from './device.ts';
import type { Emit } from './events.ts';
import { graphStepper, libraryStepper, type Stepper } from './stepper.ts';

export interface SessionOptions {
  readonly device: DeviceChoice;
  readonly threads?: number | undefined;
  readonly emit: Emit;
}

/** A model in training: its session and the state that the session moves. */
export interface Training extends AsyncDisposable {
  readonly session: TrainingSession;
  readonly state: CheckpointState;
  readonly stepper: Stepper;
  readonly device: { readonly device: 'cpu' | 'cuda'; readonly threads: number };
}

/** Writes the artifacts of a plan and opens a session on them. */
export async function openTraining(
  model: Model,
  plan: TrainingPlan<Optimizer>,
  options: SessionOptions,
): Promise<Training> {
  const { device, reason } = await chooseDevice(options.device);
  const threads = options.threads ?? availableParallelism();
  options.emit({ type: 'device', device, reason, threads });
  const artifacts = buildArtifacts(model, plan);
  const state = await CheckpointState.load(artifacts.checkpoint);
  try {
    const session = await TrainingSession.create({
      checkpointState: state,
      trainModel: artifacts.trainingModel,
      evalModel: artifacts.evalModel,
      optimizerModel: artifacts.optimizerModel,
      options: { intraOpThreads: threads, ...(device === 'cuda' && { cuda: {} }) },
    });
    return {
      session,
      state,
      stepper: artifacts.optimizerModel ? libraryStepper(session) : graphStepper(session),
      device: { device, threads },
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
