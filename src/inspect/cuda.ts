import { decodeModel } from '../../onnx/index.ts';
import { type Kernels, type UncoveredNode, uncovered } from '../../onnx/kernels.ts';
import { OrtuneError } from '../errors.ts';
import { alignColumns, count, counted } from './text.ts';
import type { ModelKind, OpenFile } from './types.ts';

/** A node, and why it would run on the CPU; without a reason it has a CUDA kernel. */
export type NodeCoverage = Omit<UncoveredNode, 'reason'> & { readonly reason?: string };

/** Which nodes of a model have a CUDA kernel. */
export interface CudaCoverage {
  readonly path: string;
  readonly kind: ModelKind;
  /** All nodes, those in branches behind the node that holds them. */
  readonly nodes: readonly NodeCoverage[];
}

/**
 * Says of every node of the models among some files whether there is a CUDA kernel of its version and types. ONNX Runtime
 * may still put a node that has one on the CPU on purpose, as it does with computations on the few numbers of a shape.
 *
 * @throws OrtuneError `INSPECT_CUDA` when none is a model, `ONNX_INVALID` for a model with what ortune has no name for
 */
export function cudaCoverage(files: readonly OpenFile[], kernels: Kernels): CudaCoverage[] {
  const found = files.flatMap(({ path, kind, content }) =>
    kind === 'checkpoint' ? [] : [{ path, kind, nodes: coverageOf(content, path, kernels) }],
  );
  if (found.length === 0) {
    const paths = files.map(({ path }) => path).join(', ');
    throw new OrtuneError(
      'INSPECT_CUDA',
      `--cuda: expected a model, found only a checkpoint, which runs nowhere: ${paths}`,
    );
  }
  return found;
}

function coverageOf(content: Uint8Array, path: string, kernels: Kernels): NodeCoverage[] {
  const model = decode(content, path);
  // The reason follows from these alone, so that nodes of the same name do no harm.
  const key = ({ op, domain, version, types }: NodeCoverage) => JSON.stringify([domain, op, version ?? 0, types]);
  const reasons = new Map(uncovered(model, kernels).map((node) => [key(node), node.reason]));
  // Without any kernel every node is uncovered: that lists them all.
  return uncovered(model, new Map()).map(({ reason: _, ...node }) => {
    const reason = reasons.get(key(node));
    return { ...node, ...(reason !== undefined && { reason }) };
  });
}

function decode(content: Uint8Array, path: string) {
  try {
    return decodeModel(content);
  } catch (error) {
    if (error instanceof OrtuneError) throw new OrtuneError(error.code, `${path}: ${error.message}`, { cause: error });
    throw error;
  }
}

/**
 * A model's coverage in lines.
 * @param verbose lists all nodes, not only those without a kernel
 */
export function formatCoverage({ path, kind, nodes }: CudaCoverage, verbose: boolean): string {
  const without = nodes.filter(({ reason }) => reason !== undefined);
  const verdict =
    without.length === 0
      ? `each of ${counted(nodes.length, 'node')} has a CUDA kernel of its version and types`
      : `${count(without.length)} of ${counted(nodes.length, 'node')} would run on the CPU`;
  const listed = verbose ? nodes : without;
  const rows = listed.map(({ node, op, domain, version, types, reason }) => [
    `  ${node || '(unnamed)'}`,
    `${domain && `${domain}::`}${op} ${version ?? '?'}`,
    types.map((type) => type || '?').join(', '),
    reason ?? 'yes',
  ]);
  return [
    `${path}: ${kind}, ${verdict}`,
    ...(rows.length > 0
      ? alignColumns(
          [['  node', 'operator', 'types of inputs', 'CUDA kernel'], ...rows],
          ['left', 'left', 'left', 'left'],
        )
      : []),
    ...(without.some(({ types }) => types.includes(''))
      ? [
          '  ?: left out, or of a type that the graph does not say; where it is the type that decides, there may be a kernel',
        ]
      : []),
  ].join('\n');
}
