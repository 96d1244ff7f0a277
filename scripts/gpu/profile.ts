/** Which provider ran which node, from the trace that ONNX Runtime writes itself (Chrome's trace event format). */
import { OrtuneError } from '../../src/errors.ts';

/** One run of a node. */
export interface NodeRun {
  readonly node: string;
  readonly op: string;
  /** ONNX Runtime's name, e.g. `CUDAExecutionProvider`. */
  readonly provider: string;
  /** On the host: a GPU's work may go on after the call that started it has returned. */
  readonly milliseconds: number;
  /** Of the node's inputs, parameters and outputs. */
  readonly bytes: number;
}

/** Nodes of one operator at one provider. */
export interface Placement {
  readonly op: string;
  readonly provider: string;
  readonly nodes: number;
  readonly milliseconds: number;
}

interface TraceEvent {
  readonly cat?: string;
  readonly name?: string;
  readonly ts?: number;
  readonly dur?: number;
  readonly args?: Readonly<Record<string, unknown>>;
}

const SUFFIX = '_kernel_time';

/** Operators that move or make whole maps or weights; on the wrong device any of them costs more than the step. */
const HEAVY_OPS: ReadonlySet<string> = new Set([
  'Conv',
  'FusedConv',
  'ConvGrad',
  'Gemm',
  'FusedGemm',
  'MatMul',
  'BatchNormalization',
  'BatchNormInternal',
  'BatchNormalizationGrad',
  'MaxPool',
  'AveragePool',
  'GlobalAveragePool',
  'GatherElementsGrad',
]);

/** What a node of any other operator may touch on the CPU: shapes, flags and rates are far below it. */
export const HEAVY_BYTES = 2 ** 20;

/**
 * The node runs of a trace's last step, the first steps being busy with choosing algorithms.
 *
 * @throws OrtuneError `TRACE` when the text is no trace or has no node in it
 */
export function readTrace(text: string, where: string): NodeRun[] {
  let events: readonly TraceEvent[];
  try {
    events = JSON.parse(text) as readonly TraceEvent[];
  } catch (cause) {
    throw new OrtuneError('TRACE', `${where}: expected a trace of ONNX Runtime, found no JSON.`, { cause });
  }
  const lastRun = events.findLast(({ cat, name }) => cat === 'Session' && name === 'model_run');
  const from = lastRun?.ts ?? 0;
  const runs = events
    .filter(({ cat, name, ts = 0 }) => cat === 'Node' && name?.endsWith(SUFFIX) && ts >= from)
    .map(({ name = '', dur = 0, args = {} }) => ({
      node: name.slice(0, -SUFFIX.length),
      op: String(args['op_name']),
      provider: String(args['provider']),
      milliseconds: dur / 1000,
      bytes: ['activation_size', 'parameter_size', 'output_size'].reduce((sum, key) => sum + Number(args[key] ?? 0), 0),
    }));
  if (runs.length === 0) throw new OrtuneError('TRACE', `${where}: expected the times of nodes, found none.`);
  return runs;
}

/** By operator and provider, what took longest first. */
export function placements(runs: readonly NodeRun[]): Placement[] {
  const rows = new Map<string, Placement>();
  for (const { op, provider, milliseconds } of runs) {
    const key = `${op} ${provider}`;
    const row = rows.get(key) ?? { op, provider, nodes: 0, milliseconds: 0 };
    rows.set(key, { ...row, nodes: row.nodes + 1, milliseconds: row.milliseconds + milliseconds });
  }
  return [...rows.values()].sort((a, b) => b.milliseconds - a.milliseconds);
}

/** ONNX Runtime's names. */
export const PROVIDERS = { cpu: 'CPUExecutionProvider', cuda: 'CUDAExecutionProvider' } as const;

/** The nodes that did not run where they should have. */
export function strayNodes(runs: readonly NodeRun[], device: keyof typeof PROVIDERS): NodeRun[] {
  return runs.filter(({ provider }) => provider !== PROVIDERS[device]);
}

/** Whether a node's place decides how long a step takes. */
export function isHeavy({ op, bytes }: Pick<NodeRun, 'op' | 'bytes'>): boolean {
  return HEAVY_OPS.has(op) || bytes >= HEAVY_BYTES;
}
