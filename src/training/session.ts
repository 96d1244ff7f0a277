import { availableParallelism } from 'node:os';
import {
  type Artifacts,
  averageOf,
  buildArtifacts,
  bytesOf,
  type Kernels,
  type Model,
  type Optimizer,
  type TrainingPlan,
} from '../../onnx/index.ts';
import { CheckpointState, type CudaOptions, TrainingSession } from '../runtime/index.ts';
import type { Device } from './device.ts';
import type { Emit } from './events.ts';
import { type ChosenKernels, usesNative } from './kernels.ts';
import { graphStepper, libraryStepper, type Stepper } from './stepper.ts';

/** A model in training: its session and the state that the session moves. */
export interface Training extends AsyncDisposable {
  readonly session: TrainingSession;
  readonly state: CheckpointState;
  readonly stepper: Stepper;
}

export interface SessionDevice {
  readonly device: 'cpu' | 'cuda';
  /** With `device` `'cuda'` only. */
  readonly cuda?: CudaOptions;
  readonly threads: number;
  /** Of an update in the training graph; `stock` by default. */
  readonly kernels?: Kernels;
  /** Of the layers in training; `stock` by default. */
  readonly layers?: Kernels;
  /** With native layers: convolutions by the definition, without Winograd's algorithm. */
  readonly exact?: boolean;
}

/** Says where a stage runs, and by what kernels. */
export function sessionDevice(
  { device, cuda, reason }: Device,
  {
    threads = availableParallelism(),
    chosen: { kernels, layers, library },
    exact = false,
    plan,
    emit,
  }: { threads?: number; chosen: ChosenKernels; exact?: boolean; plan: TrainingPlan<Optimizer>; emit: Emit },
): SessionDevice {
  const updates = usesNative(plan, kernels) ? 'native' : 'stock';
  emit({ type: 'device', device, reason, threads, kernels: updates, ...(library && { layers: library }) });
  return { device, threads, kernels, layers, exact, ...(cuda && { cuda }) };
}

/** Whether batches must all have one shape: on CUDA, cuDNN searches its algorithms anew for each. */
export const needsConstantShape = ({ device }: Pick<SessionDevice, 'device'>): boolean => device === 'cuda';

/**
 * Writes the artifacts of a plan and opens a session on them.
 *
 * @param options.evaluated what is tested: the model itself, or it for pictures of another size
 * @param options.checkpoint file of a state that training goes on from, instead of the model's own values
 */
export async function openTraining(
  model: Model,
  plan: TrainingPlan<Optimizer>,
  device: SessionDevice,
  { evaluated = model, checkpoint }: { evaluated?: Model; checkpoint?: string | undefined } = {},
): Promise<Training> {
  const { kernels = 'stock', layers = 'stock', exact = false } = device;
  const artifacts = buildArtifacts(model, { ...plan, kernels, layers, exact }, evaluated);
  const opened = await openSession(artifacts, device, checkpoint);
  return {
    ...opened,
    stepper: artifacts.optimizerModel ? libraryStepper(opened.session) : graphStepper(opened.session),
  };
}

/** A session and its state, which go together. */
export type OpenSession = Pick<Training, 'session' | 'state' | typeof Symbol.asyncDispose>;

/** Opens a session on artifacts. */
export async function openSession(
  artifacts: Artifacts<Optimizer>,
  { device, cuda = {}, threads }: SessionDevice,
  checkpoint: string | Uint8Array = artifacts.checkpoint,
): Promise<OpenSession> {
  const state = await CheckpointState.load(checkpoint);
  try {
    const session = await TrainingSession.create({
      checkpointState: state,
      trainModel: artifacts.trainingModel,
      evalModel: artifacts.evalModel,
      optimizerModel: artifacts.optimizerModel,
      // Threads that spin while they wait gain nothing on a free machine, and lose twofold where other programs use the cores.
      options: { intraOpThreads: threads, spinning: false, ...(device === 'cuda' && { cuda }) },
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

/** Present values, as bytes, of what a plan trains (their running averages, where it has some) and of the statistics it moves. */
export async function trainedValues(
  state: CheckpointState,
  { trainable, optimizer }: TrainingPlan<Optimizer>,
  moved: Iterable<string>,
): Promise<Map<string, Uint8Array>> {
  const averages = 'averages' in optimizer && optimizer.averages;
  const values = new Map<string, Uint8Array>();
  const read = async (name: string, from: string) => values.set(name, bytesOf((await state.getParameter(from)).data));
  for (const name of trainable) await read(name, averages ? averageOf(name) : name);
  for (const name of moved) await read(name, name);
  return values;
}
