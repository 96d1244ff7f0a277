import { defaultCacheBytes } from '../data/decoded-cache.ts';
import { OrtuneError } from '../errors.ts';
import type { Emit } from './events.ts';
import { containerBound, formatBytes, type MemoryBound, parseMemoryLimit, systemBound } from './memory-limit.ts';

/** What of a run can be made smaller. */
export interface RunSize {
  readonly batchSize: number;
  /** Batches of one update. */
  readonly accumulate: number;
  /** Side of the network's input in pixels. */
  readonly imageSize: number;
}

export interface MemoryCheck extends RunSize {
  readonly device: 'cpu' | 'cuda';
  /** What the user set; left out: the container's limit counts. */
  readonly memoryLimit: string | undefined;
  /** Bytes of the process's peak. */
  estimate(size: RunSize): number;
  /** The smallest batch that can be trained on: 2 with live BatchNorm. */
  readonly least: number;
  /** Whether a batch's size matters: not to a head on features. */
  readonly byBatch: boolean;
  /** Whether batches can be added up. */
  readonly accumulates: boolean;
  /** How a size is said: as flags of the stage, or, where the command has none, as a recipe's settings. */
  readonly by: 'flags' | 'recipe';
  readonly emit: Emit;
}

/** A run that fits. */
interface Fitting {
  /** The largest batch. */
  readonly batchSize: number;
  /** A batch, and how many of them make the update that was asked for. */
  readonly accumulated: Pick<RunSize, 'batchSize' | 'accumulate'> | undefined;
}

/** Systems, for tests. */
export interface Bounds {
  readonly container: () => Promise<MemoryBound | undefined>;
  readonly system: () => Promise<MemoryBound | undefined>;
}

const BOUNDS: Bounds = { container: containerBound, system: systemBound };

/**
 * Compares what a run will take with what it may: the limit that was set, or else the container's, above which the kernel
 * would end the process without a word. What the system has left is only told of, as it may have more by then.
 *
 * @returns bytes that are left for decoded pictures
 * @throws OrtuneError `MEMORY_LIMIT` with what would fit
 */
export async function requireMemory(check: MemoryCheck, bounds = BOUNDS): Promise<number> {
  const { device, memoryLimit, emit } = check;
  if (device === 'cuda' && memoryLimit !== undefined) {
    const text =
      'only training on the CPU is estimated: --memory-limit has no effect here, --cuda-memory limits a GPU.';
    emit({ type: 'note', text });
  }
  if (device === 'cuda' || memoryLimit === 'none') return defaultCacheBytes();
  const estimate = check.estimate(check);
  const asked = memoryLimit === undefined ? undefined : parseMemoryLimit(memoryLimit);
  const container = await bounds.container();
  const system = await bounds.system();
  const limit = asked === undefined ? container : { bytes: asked, source: `--memory-limit ${memoryLimit}` };
  if (limit && estimate > limit.bytes) throw refusal(check, estimate, limit);
  for (const bound of new Set([container, system])) {
    if (!bound || bound === limit || estimate <= bound.bytes) continue;
    const text = `this run is estimated to take ${formatBytes(estimate)}, more than ${formatBytes(bound.bytes)}: ${bound.source}.`;
    emit({ type: 'note', text });
  }
  const left = [limit, container, system].map((bound) => (bound ? bound.bytes - estimate : Number.POSITIVE_INFINITY));
  return Math.max(0, Math.min(defaultCacheBytes(), ...left));
}

function refusal(check: MemoryCheck, estimate: number, { bytes, source }: MemoryBound): OrtuneError {
  const { batchSize, imageSize, memoryLimit, byBatch } = check;
  const what = byBatch ? `batches of ${batchSize} at ${imageSize} px` : `pictures of ${imageSize} px`;
  const exceeded = `memory-limit: ${what} are estimated to take ${formatBytes(estimate)}, more than ${formatBytes(bytes)}: ${source}.`;
  const override = memoryLimit === undefined ? ' --memory-limit none tries it all the same.' : '';
  return new OrtuneError('MEMORY_LIMIT', `${exceeded} ${remedy(check, bytes)}${override}`);
}

function remedy(check: MemoryCheck, bytes: number): string {
  const { least, imageSize, by } = check;
  const fitting = fittingBatch(check, bytes);
  if (fitting) return remedyByBatch(check, fitting);
  const smallest = check.byBatch ? `a batch of ${least} does not fit either` : 'smaller batches do not help';
  const smaller = fittingSide(check, bytes);
  if (smaller === undefined) {
    return `There ${smallest}, nor smaller pictures: the network itself is too large. Take one of less --depth or --width, or allow more.`;
  }
  const command = by === 'flags' ? ' (npx ortune build-graph, and stage one anew)' : '';
  return `There ${smallest}; a network for smaller pictures does, by --image-size ${smaller} instead of ${imageSize}${command}.`;
}

function remedyByBatch({ by, accumulate, batchSize }: MemoryCheck, { batchSize: fits, accumulated }: Fitting): string {
  const said = (size: number, times: number) =>
    by === 'flags'
      ? `--batch-size ${size}${times > 1 ? ` --accumulate ${times}` : ''}`
      : `batchSize: ${size}${times > 1 ? `, accumulate: ${times}` : ''} in a recipe's finetune`;
  const first = `Batches of ${fits} fit: ${said(fits, accumulate)}`;
  if (!accumulated) return `${first}.`;
  const whole = batchSize * accumulate;
  return `${first}; or ${said(accumulated.batchSize, accumulated.accumulate)}, whose updates are of ${whole} pictures as before.`;
}

/** The largest batch that fits, and the largest that whole updates can be made of. */
function fittingBatch(check: MemoryCheck, bytes: number): Fitting | undefined {
  if (!check.byBatch) return undefined;
  const { batchSize, accumulate, least, accumulates } = check;
  const fits = (size: number, times = accumulate) =>
    check.estimate({ ...check, batchSize: size, accumulate: times }) <= bytes;
  if (!fits(least)) return undefined;
  let [low, high] = [least, batchSize];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (fits(middle)) low = middle;
    else high = middle;
  }
  const whole = batchSize * accumulate;
  const sizes = Array.from({ length: low - least + 1 }, (_, index) => low - index);
  const part = accumulates ? sizes.find((size) => whole % size === 0 && fits(size, whole / size)) : undefined;
  const accumulated = part === undefined ? undefined : { batchSize: part, accumulate: whole / part };
  return { batchSize: low, accumulated };
}

/** The largest of the smaller sides that fits, with the smallest batch. */
function fittingSide(check: MemoryCheck, bytes: number): number | undefined {
  const { imageSize, least, byBatch, batchSize } = check;
  const size = { batchSize: byBatch ? least : batchSize, accumulate: 1 };
  for (let side = imageSize - 32; side >= 32; side -= 32) {
    if (check.estimate({ ...size, imageSize: side }) <= bytes) return side;
  }
  return undefined;
}
