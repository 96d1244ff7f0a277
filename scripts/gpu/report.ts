import { alignColumns, counted } from '../../src/inspect/text.ts';
import { type CheckOptions, type CheckResult, deviceName, type Group } from './check.ts';
import { type Comparison, compareLosses, throughput } from './judge.ts';
import { isHeavy, PROVIDERS, placements, strayNodes } from './profile.ts';
import type { MemoryUse, TrialResult } from './trial.ts';

const REHEARSAL =
  'REHEARSAL: the CPU stands in for the GPU. This shows that the check itself runs, and nothing about any GPU.';
/** Enough to see which they are; `--json` has all. */
const NODES_NAMED = 60;

/** What is checked, where. */
export function formatStart(options: CheckOptions, { machine, library }: Pick<CheckResult, 'machine' | 'library'>) {
  const { width, imageSize, batchSize, steps } = options;
  return [
    ...(options.device === 'cpu' ? [REHEARSAL] : []),
    `ResNet50${width === 1 ? '' : ` of width ${width}`}, all of it trained: ${steps} steps of ${batchSize} pictures at ${imageSize} px`,
    ...machine.gpus.map((gpu) => `GPU: ${gpu} (told by ${machine.toldBy})`),
    `CPU: ${machine.cpu}, ${counted(machine.threads, 'thread')}, ${gibibytes(machine.memory)}`,
    `Library: ONNX Runtime ${library.version}, ${library.variant}`,
  ].join('\n');
}

/** Losses, speed, memory, and where the nodes ran, for one kind of pictures. */
export function formatGroup(options: CheckOptions, { pictures, reference, trials }: Group): string {
  const expected = 'result' in reference ? reference.result : undefined;
  const done = trials.flatMap(({ precision, outcome }) =>
    'result' in outcome ? [{ precision, name: `${deviceName(options)} ${precision}`, result: outcome.result }] : [],
  );
  const rows = [
    ['', 'first loss', 'last', 'first off by (allowed)', 'others (allowed)', 'pictures/s', 'with decoding', 'memory'],
    ...(expected ? [summaryRow('CPU fp32', expected, options)] : []),
    ...done.map(({ name, precision, result }) =>
      summaryRow(name, result, options, expected && compareLosses(result.losses, expected.losses, precision)),
    ),
  ];
  return [
    `== ${pictures === 'synthetic' ? 'Synthetic pictures' : `Pictures of ${pictures}`}`,
    alignColumns(rows, ['left', ...Array<'right'>(7).fill('right')]).join('\n'),
    ...done.map(({ name, result }) => formatNodes(name, result, options)),
    [
      verdict('CPU fp32', 'failure' in reference ? [reference.failure] : []),
      ...trials.map(({ precision, faults }) => verdict(`${deviceName(options)} ${precision}`, faults)),
    ].join('\n'),
  ].join('\n\n');
}

/** The last line. */
export function formatEnd({ ok, options }: CheckResult): string {
  if (options.device === 'cpu') return `${REHEARSAL}\nThe rehearsal ${ok ? 'went well.' : 'FAILED, as told above.'}`;
  return ok ? 'The GPU trains as the CPU does.' : 'FAILED: the GPU does not train as the CPU does, as told above.';
}

function summaryRow(name: string, result: TrialResult, { batchSize }: CheckOptions, compared?: Comparison): string[] {
  const { losses, stepSeconds, loopSeconds, memory } = result;
  const allowed = (found: number, allowed: number) => `${found.toExponential(1)} (${allowed})`;
  return [
    name,
    losses[0]?.toFixed(5) ?? '',
    losses.at(-1)?.toFixed(5) ?? '',
    compared ? allowed(compared.first, compared.tolerance.first) : '',
    compared ? allowed(compared.later, compared.tolerance.later) : '',
    throughput(stepSeconds, batchSize).toFixed(1),
    throughput(loopSeconds, batchSize).toFixed(1),
    memory ? `${gibibytes(memory.training - memory.before)} of ${gibibytes(memory.total)}` : '',
  ];
}

function formatNodes(name: string, result: TrialResult, { device }: CheckOptions): string {
  const rows = placements(result.nodes).map(({ op, provider, nodes, milliseconds }) => [
    op,
    provider.replace('ExecutionProvider', ''),
    String(nodes),
    milliseconds.toFixed(2),
  ]);
  const strays = strayNodes(result.nodes, device).map(
    (run) => `${isHeavy(run) ? 'HEAVY ' : ''}${run.node} (${run.op})`,
  );
  const uncovered = result.uncovered?.map(
    ({ model, node, op, reason }) => `${node} (${op}, ${model} model: ${reason})`,
  );
  return [
    `-- ${name}: where the nodes of a training step ran`,
    ...alignColumns([['operator', 'provider', 'nodes', 'ms on the host'], ...rows], ['left', 'left', 'right', 'right']),
    `Not by ${PROVIDERS[device]}: ${enumerate(strays)}`,
    `Without a CUDA kernel in the library: ${uncovered ? enumerate(uncovered) : 'not known, as the library brings no CUDA provider'}`,
    ...(result.overflows > 0 ? [`Steps tried again with a smaller loss scale: ${result.overflows}`] : []),
    ...(result.memory ? [`GPU memory in use: ${formatMemory(result.memory)}`] : []),
  ].join('\n');
}

function formatMemory({ before, training, after, total }: MemoryUse): string {
  return `${gibibytes(before)} before, ${gibibytes(training)} in training, ${gibibytes(after)} after, of ${gibibytes(total)}`;
}

function enumerate(names: readonly string[]): string {
  if (names.length === 0) return 'none';
  const more = names.length - NODES_NAMED;
  return `${names.length}: ${names.slice(0, NODES_NAMED).join(', ')}${more > 0 ? `, and ${more} more (--json)` : ''}`;
}

const verdict = (name: string, faults: readonly string[]) =>
  faults.length === 0 ? `ok      ${name}` : `FAILED  ${name}: ${faults.join('; ')}`;

const gibibytes = (bytes: number) => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
