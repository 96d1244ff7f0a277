import { OrtuneError } from '../../src/errors.ts';
import { Runtime } from '../../src/runtime/index.ts';
import { chooseDevice } from '../../src/training/device.ts';
import { faultsOf } from './judge.ts';
import { describeMachine, type Machine } from './machine.ts';
import { openPictures } from './pictures.ts';
import type { Precision, TrialSpec } from './trial.ts';
import { runTrialApart, type TrialOutcome } from './trial-process.ts';

export interface CheckOptions {
  /** `cpu` rehearses: the same program with the CPU in the GPU's place. */
  readonly device: 'cpu' | 'cuda';
  /** A data set of real pictures. */
  readonly data?: string;
  readonly steps: number;
  readonly imageSize: number;
  readonly batchSize: number;
  readonly width: number;
}

/** A training in one precision, and what is wrong with it. */
export interface JudgedTrial {
  readonly precision: Precision;
  readonly outcome: TrialOutcome;
  readonly faults: readonly string[];
}

/** All trainings on the same pictures. */
export interface Group {
  /** `synthetic`, or the data set's path. */
  readonly pictures: string;
  /** On the CPU, in fp32. */
  readonly reference: TrialOutcome;
  readonly trials: readonly JudgedTrial[];
}

export interface CheckResult {
  readonly ok: boolean;
  readonly options: CheckOptions;
  readonly machine: Machine;
  readonly library: { readonly version: string; readonly variant: string };
  readonly groups: readonly Group[];
}

const PRECISIONS: readonly Precision[] = ['fp32', 'tf32', 'fp16'];

export interface Listener {
  /** Before anything is trained. */
  onStart(about: Pick<CheckResult, 'machine' | 'library'>): void;
  onTrial(pictures: string, name: string, seconds: number): void;
  onGroup(group: Group): void;
}

/**
 * Trains the same steps on the CPU and, in each precision, on the GPU, first on synthetic pictures and then on real ones.
 *
 * @throws OrtuneError `NO_GPU` where there is none that can be used; as `openPictures`
 */
export async function runCheck(options: CheckOptions, listener: Listener): Promise<CheckResult> {
  await requireDevice(options.device);
  // What is wrong with the data is told before the first step, not after an hour.
  await openPictures(options);
  const { version, variant } = Runtime.load();
  const about = { machine: describeMachine(), library: { version, variant } };
  listener.onStart(about);
  const groups: Group[] = [];
  for (const data of options.data === undefined ? [undefined] : [undefined, options.data]) {
    const group = await checkGroup(options, data, listener);
    listener.onGroup(group);
    groups.push(group);
  }
  return { ok: groups.every(isRight), options, ...about, groups };
}

async function checkGroup(options: CheckOptions, data: string | undefined, listener: Listener): Promise<Group> {
  const pictures = data ?? 'synthetic';
  const { steps, imageSize, batchSize, width } = options;
  const common = { steps, imageSize, batchSize, width, ...(data !== undefined && { data }) };
  const run = async (name: string, spec: TrialSpec) => {
    const started = performance.now();
    const outcome = await runTrialApart(spec);
    listener.onTrial(pictures, name, (performance.now() - started) / 1000);
    return outcome;
  };
  const reference = await run('CPU fp32', { ...common, device: 'cpu', precision: 'fp32', profile: false });
  const trials: JudgedTrial[] = [];
  for (const precision of PRECISIONS) {
    const spec = { ...common, device: options.device, precision, profile: true };
    const outcome = await run(`${deviceName(options)} ${precision}`, spec);
    trials.push({ precision, outcome, faults: faultsIn(outcome, reference, spec) });
  }
  return { pictures, reference, trials };
}

function faultsIn(outcome: TrialOutcome, reference: TrialOutcome, spec: TrialSpec): string[] {
  if ('failure' in outcome) return [outcome.failure];
  if ('failure' in reference) return ['there is nothing to compare it with, as the CPU failed'];
  return faultsOf(outcome.result, reference.result.losses, spec);
}

const isRight = ({ reference, trials }: Group) =>
  'result' in reference && trials.every(({ faults }) => faults.length === 0);

/** What stands for the device in the report: a rehearsal must not read like a check. */
export function deviceName({ device }: Pick<CheckOptions, 'device'>): string {
  return device === 'cuda' ? 'GPU' : 'rehearsal';
}

async function requireDevice(device: 'cpu' | 'cuda'): Promise<void> {
  try {
    await chooseDevice(device);
  } catch (error) {
    if (!(error instanceof OrtuneError) || error.code !== 'DEVICE') throw error;
    throw new OrtuneError('NO_GPU', `Nothing was checked, as there is no GPU to check. ${error.message}`, {
      cause: error,
    });
  }
}
