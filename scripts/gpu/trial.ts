import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Artifacts, buildArtifacts, buildResNet, LOSS, type Optimizer, UPDATE_INPUTS } from '../../onnx/index.ts';
import { LOSS_SCALE } from '../../onnx/loss-scale.ts';
import { OrtuneError } from '../../src/errors.ts';
import {
  CheckpointState,
  Runtime,
  type SessionOptions,
  type Tensor,
  TrainingSession,
} from '../../src/runtime/index.ts';
import { FINETUNE_DEFAULTS } from '../../src/training/options.ts';
import { planOf } from '../../src/training/plan.ts';
import { graphStepper, libraryStepper } from '../../src/training/stepper.ts';
import { findUncovered, type Uncovered } from './coverage.ts';
import { openPictures } from './pictures.ts';
import { type NodeRun, readTrace } from './profile.ts';

/** float32; float32 whose products are of 10-bit mantissas; half precision with float32 parameters. */
export type Precision = 'fp32' | 'tf32' | 'fp16';

/** A training from the same first values on the same batches; what differs is where and how it is computed. */
export interface TrialSpec {
  readonly device: 'cpu' | 'cuda';
  readonly precision: Precision;
  /** A data set, or `undefined` for synthetic pictures. */
  readonly data?: string;
  readonly steps: number;
  readonly imageSize: number;
  readonly batchSize: number;
  readonly width: number;
  /** Whether to look, in a session of its own, where nodes run and which lack a CUDA kernel. */
  readonly profile: boolean;
}

/** GPU memory in use by all processes, in bytes. */
export interface MemoryUse {
  readonly before: number;
  readonly training: number;
  readonly after: number;
  readonly total: number;
}

export interface TrialResult {
  readonly losses: readonly number[];
  /** Seconds of each step: forward, backward and update. */
  readonly stepSeconds: readonly number[];
  /** The same with the wait for the batch. */
  readonly loopSeconds: readonly number[];
  /** Tries of a step whose gradients half precision could not hold. */
  readonly overflows: number;
  /** Absent on the CPU. */
  readonly memory?: MemoryUse;
  /** Of the training model; empty without `profile`. */
  readonly nodes: readonly NodeRun[];
  /** Absent without `profile`, and where the library brings no CUDA provider. */
  readonly uncovered?: readonly Uncovered[];
}

/**
 * A tenth of what stage two takes by default. Adam's first steps go by the signs of the gradients, also of those that are
 * no more than rounding; at larger rates two trainings that differ by rounding alone part within a few steps.
 */
const LEARNING_RATE = 1e-5;
/** One that chooses algorithms, one that is looked at. */
const PROFILED_STEPS = 2;

/** @throws OrtuneError of the session, the library or the data */
export async function runTrial(spec: TrialSpec): Promise<TrialResult> {
  const { classes, batches } = await openPictures(spec);
  const model = buildResNet({ width: spec.width, imageSize: spec.imageSize, classes });
  const settings = {
    ...FINETUNE_DEFAULTS,
    precision: spec.precision === 'fp16' ? ('fp16' as const) : ('fp32' as const),
  };
  const artifacts = buildArtifacts(model, planOf(model, settings, { labels: [], softLabels: false, kernels: 'stock' }));
  const trained = await train(spec, artifacts, batches);
  if (!spec.profile) return { ...trained, nodes: [] };
  const uncovered = await findUncovered(artifacts, Runtime.load().libraryPath);
  return { ...trained, nodes: await profile(spec, artifacts), ...(uncovered && { uncovered }) };
}

type Feeds = Readonly<Record<string, Tensor>>;

async function train(spec: TrialSpec, artifacts: Artifacts<Optimizer>, batches: AsyncIterable<Feeds>) {
  const losses: number[] = [];
  const stepSeconds: number[] = [];
  const loopSeconds: number[] = [];
  let overflows = 0;
  const before = await memoryInUse(spec);
  let training: number | undefined;
  {
    await using state = await CheckpointState.load(artifacts.checkpoint);
    await using session = await TrainingSession.create({
      checkpointState: state,
      trainModel: artifacts.trainingModel,
      optimizerModel: artifacts.optimizerModel,
      options: sessionOptions(spec),
    });
    const stepper = artifacts.optimizerModel ? libraryStepper(session) : graphStepper(session);
    await stepper.setLearningRate(LEARNING_RATE);
    let asked = performance.now();
    for await (const feeds of batches) {
      const started = performance.now();
      let step = await stepper.step({ ...feeds }, { share: 1, last: true });
      const ended = performance.now();
      losses.push(Number(step.outputs[LOSS]?.data[0]));
      // An update that was left out is made up for, or all losses after it would be an update behind the reference.
      for (; step.skipped; overflows++) step = await stepper.step({ ...feeds }, { share: 1, last: true });
      stepSeconds.push((ended - started) / 1000);
      loopSeconds.push((ended - asked) / 1000);
      asked = performance.now();
    }
    training = (await memoryInUse(spec))?.used;
  }
  const after = await memoryInUse(spec);
  const memory =
    before && after && training !== undefined
      ? { before: before.used, training, after: after.used, total: after.total }
      : undefined;
  return { losses, stepSeconds, loopSeconds, overflows, ...(memory && { memory }) };
}

function sessionOptions({ device, precision }: TrialSpec): SessionOptions {
  return { intraOpThreads: availableParallelism(), ...(device === 'cuda' && { cuda: { tf32: precision !== 'fp32' } }) };
}

/** All models of a session write to one trace, so this one has the training model alone. */
async function profile(spec: TrialSpec, artifacts: Artifacts<Optimizer>): Promise<NodeRun[]> {
  const folder = await mkdtemp(join(tmpdir(), 'ortune-gpu-'));
  try {
    {
      await using state = await CheckpointState.load(artifacts.checkpoint);
      await using session = await TrainingSession.create({
        checkpointState: state,
        trainModel: artifacts.trainingModel,
        options: { ...sessionOptions(spec), profilePrefix: join(folder, 'trace') },
      });
      const { batches } = await openPictures({ ...spec, steps: PROFILED_STEPS });
      for await (const feeds of batches) await session.trainStep({ ...feeds, ...otherFeeds(session) });
    }
    const [file] = (await readdir(folder)).filter((name) => name.endsWith('.json'));
    if (file === undefined) throw new OrtuneError('TRACE', `${folder}: expected a trace of ONNX Runtime, found none.`);
    return readTrace(await readFile(join(folder, file), 'utf8'), file);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** What a training model takes beside the batch, for a step that is on its own. */
function otherFeeds({ trainInputNames }: TrainingSession): Feeds {
  const scalar = (value: number): Tensor => ({ type: 'float32', dims: [], data: Float32Array.of(value) });
  const feeds: Feeds = {
    [LOSS_SCALE]: scalar(1),
    [UPDATE_INPUTS.lossWeight]: scalar(1),
    [UPDATE_INPUTS.update]: { type: 'bool', dims: [1], data: Uint8Array.of(1) },
    [UPDATE_INPUTS.learningRate]: { type: 'float32', dims: [1], data: Float32Array.of(0) },
  };
  return Object.fromEntries(Object.entries(feeds).filter(([name]) => trainInputNames.includes(name)));
}

async function memoryInUse({ device }: TrialSpec): Promise<{ used: number; total: number } | undefined> {
  if (device === 'cpu') return undefined;
  const runtime = Runtime.load();
  // Loads CUDA, without which its memory is not known.
  await runtime.probeCuda();
  const memory = runtime.cudaMemory();
  return memory ? { used: memory.total - memory.free, total: memory.total } : undefined;
}
