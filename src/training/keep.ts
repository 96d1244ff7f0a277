import type { ResNetOptions } from '../../onnx/index.ts';
import type { Dataset } from '../data/index.ts';
import { OrtuneError } from '../errors.ts';
import { digestOfData, digestOfFile, Progress } from '../progress/index.ts';
import { Runtime } from '../runtime/index.ts';
import { VERSION } from '../version.ts';
import type { Emit } from './events.ts';
import type { PassSettings } from './passes.ts';
import type { SessionDevice } from './session.ts';

/** What a record's checkpoint holds; raised whenever a session would read it as something else. 2: Adam's moments are parameters. */
const RECORDS = 2;

/** How far a run has come is kept this often, in seconds. */
const EVERY = 300;

export interface KeepOptions {
  /** Goes on with an interrupted run of the same options, from what was kept of it beside `out`. */
  readonly resume?: boolean;
  /** Seconds from one record of how far the run has come to the next; 0: after each update. Default 300. */
  readonly recordEvery?: number;
}

/** What a run depends on. */
export interface Kept {
  readonly command: 'pretrain' | 'finetune';
  readonly settings: object & { readonly out: string; readonly onNan: PassSettings['onNan'] };
  readonly network: ResNetOptions;
  /** File of the network that training starts from. */
  readonly graph: string;
  /** File of the weights, where there is one file. */
  readonly weights?: string | undefined;
  readonly dataset: Dataset;
  readonly splitSeed: number;
  readonly device: SessionDevice;
  readonly emit: Emit;
}

/** Opens what is kept of a run, and keeps other runs off its result. @throws OrtuneError as {@link Progress.open} */
export async function openProgress(run: Kept, { resume = false, recordEvery = EVERY }: KeepOptions): Promise<Progress> {
  if (!(recordEvery >= 0)) {
    throw new OrtuneError('OPTION', `record-every: expected seconds, a number from 0 up, received ${recordEvery}`);
  }
  const { command, settings, network, graph, weights, dataset, splitSeed, device, emit } = run;
  // What becomes of a run that fails changes none that does not; one that failed may go on with another choice.
  const { out, onNan: _, ...options } = settings;
  const { version, kernels } = Runtime.load();
  const { root, split } = dataset;
  const fingerprint = {
    command,
    options,
    network,
    graph: await digestOfFile(graph),
    ...(weights !== undefined && { weights: await digestOfFile(weights) }),
    data: { root, split, seed: splitSeed, pictures: await digestOfData(dataset) },
    device,
    versions: {
      ortune: VERSION,
      onnxruntime: version,
      oneDNN: device.layers === 'native' ? kernels?.version : undefined,
      records: RECORDS,
    },
  };
  // As it is read again.
  return Progress.open({ out, resume, every: recordEvery, fingerprint: JSON.parse(JSON.stringify(fingerprint)), emit });
}
