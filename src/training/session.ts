import { availableParallelism } from 'node:os';
import {
  type Artifacts,
  averageOf,
  buildArtifacts,
  bytesOf,
  type Kernels,
  type Model,
  movedStatistics,
  type Optimizer,
  type TrainingPlan,
} from '../../onnx/index.ts';
import { CheckpointState, type CudaOptions, TrainingSession } from '../runtime/index.ts';
import type { Device } from './device.ts';
import type { Emit } from './events.ts';
import { type Stray, strayIn } from './finite.ts';
import { type ChosenKernels, usesNative } from './kernels.ts';
import { graphStepper, libraryStepper, type Stepper } from './stepper.ts';

/** A model in training: its session and the state that the session moves. */
export interface Training extends AsyncDisposable {
  /** As `state` and `stepper`, another one after `restart`. */
  readonly session: TrainingSession;
  readonly state: CheckpointState;
  readonly stepper: Stepper;
  /**
   * Looks for what is no finite number in all that training moves, or, which takes no time worth telling, in the parameter
   * that gradients come to last: what goes wrong in backpropagation is there at the next update.
   */
  findStray(of: 'all' | 'last'): Promise<Stray | undefined>;
  /** Goes on from the state in a checkpoint's file, or from the model's own values. */
  restart(checkpoint: string | undefined): Promise<void>;
}

/** Elements of a parameter that is looked at after each update. */
const QUICK_TO_READ = 2 ** 16;

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
  const open = async (from: string | undefined) => {
    const artifacts = buildArtifacts(model, { ...plan, kernels, layers, exact }, evaluated);
    const opening = openSession(artifacts, device, from);
    release(artifacts.checkpoint);
    const opened = await opening;
    const stepper = artifacts.optimizerModel ? libraryStepper(opened.session) : graphStepper(opened.session);
    return { ...opened, stepper };
  };
  let opened = await open(checkpoint);
  const names = movedBy(model, plan);
  return {
    get session() {
      return opened.session;
    },
    get state() {
      return opened.state;
    },
    get stepper() {
      return opened.stepper;
    },
    findStray: (of) => strayIn(opened.state, of === 'all' ? names.all : names.last),
    async restart(from) {
      // First, as two are too much for the memory.
      await opened[Symbol.asyncDispose]();
      opened = await open(from);
    },
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  };
}

/** Names of all that a plan's training moves, and of the parameter whose gradient comes last of those that are quick to read. */
function movedBy({ graph }: Model, plan: TrainingPlan<Optimizer>): Record<'all' | 'last', readonly string[]> {
  const trained = [...graph.initializers.values()].filter(({ name }) => plan.trainable.has(name));
  const last = trained.find(({ dims }) => dims.reduce((size, length) => size * length, 1) <= QUICK_TO_READ);
  const averages = hasAverages(plan) ? trained.map(({ name }) => averageOf(name)) : [];
  const all = [...trained.map(({ name }) => name), ...averages, ...movedStatistics(graph, plan)];
  return { all, last: last ? [last.name] : [] };
}

const hasAverages = ({ optimizer }: TrainingPlan<Optimizer>) => 'averages' in optimizer && optimizer.averages === true;

/**
 * Gives the memory of bytes back at once, hundreds of megabytes of a checkpoint: left to Node, they would lie there until
 * it next collects its garbage. What a port was sent is freed with the port.
 */
function release({ buffer }: Uint8Array): void {
  const { port1, port2 } = new MessageChannel();
  port1.postMessage(undefined, [buffer as ArrayBuffer]);
  port1.close();
  port2.close();
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
  plan: TrainingPlan<Optimizer>,
  moved: Iterable<string>,
): Promise<Map<string, Uint8Array>> {
  const averages = hasAverages(plan);
  const values = new Map<string, Uint8Array>();
  const read = async (name: string, from: string) => values.set(name, bytesOf((await state.getParameter(from)).data));
  for (const name of plan.trainable) await read(name, averages ? averageOf(name) : name);
  for (const name of moved) await read(name, name);
  return values;
}
