import { OrtuneError } from '../src/errors.ts';
import { MICROSOFT } from './graph.ts';
import type { ElementType, Graph, Model, Node } from './model.ts';
import { sinceVersion } from './operator-versions.ts';

/** A kernel of an execution provider, as the name of its class tells. */
interface Kernel {
  readonly start: number;
  /** Absent: registered without an end. */
  readonly end?: number;
  /** The types that the class is made for, one or several; none for a kernel that looks at its tensors' types itself. */
  readonly types: readonly string[];
}

/** Kernels by domain and operator. */
export type Kernels = ReadonlyMap<string, readonly Kernel[]>;

/** A node that the provider has no kernel for, so that it would run on the CPU. */
export interface UncoveredNode {
  readonly node: string;
  readonly op: string;
  readonly domain: string;
  /** Since version of the operator at the model's opset; `undefined` where it is not known. */
  readonly version: number | undefined;
  /** Element types of the node's inputs, `''` for one that is left out or whose type the graph does not say. */
  readonly types: readonly string[];
  readonly reason: string;
}

const DOMAINS: Readonly<Record<string, string>> = { Onnx: '', MS: MICROSOFT };

/** ONNX Runtime's C++ types. Those that ortune has no name for keep their own. */
const CPP_TYPES: Readonly<Record<string, ElementType>> = {
  float: 'float32',
  double: 'float64',
  double_t: 'float64',
  MLFloat16: 'float16',
  BFloat16: 'bfloat16',
  bool: 'bool',
  int8_t: 'int8',
  int16_t: 'int16',
  int32_t: 'int32',
  int64_t: 'int64',
  uint8_t: 'uint8',
  uint16_t: 'uint16',
};

/**
 * For each type in the name of an operator's kernels, the inputs that must be of it. Left out: one type, that of the
 * first input. From the kernels' registrations (github.com/microsoft/onnxruntime, onnxruntime/core/providers/cuda and
 * orttraining/orttraining/training_ops/cuda).
 */
const TYPED_BY: Readonly<Record<string, readonly (readonly number[])[]>> = {
  // One type for the map, the scale and the statistics: unlike in BatchNormInternal, they may not differ.
  BatchNormalization: [[0, 1, 3]],
  BatchNormInternal: [[0], [1], [3]],
  BatchNormalizationGrad: [[0], [2], [3]],
  InPlaceAccumulatorV2: [[0], [1]],
  SoftmaxCrossEntropyLoss: [[0], [1]],
  SoftmaxCrossEntropyLossGrad: [[0], [2]],
};

/** Types of the first input that kernels without a type in their name take, where those are not all types. */
const UNTYPED_TAKE: Readonly<Record<string, readonly ElementType[]>> = {
  GatherElementsGrad: ['float16', 'float32', 'float64'],
  Min: ['int32', 'int64', 'float16', 'float32', 'float64', 'bfloat16'],
  Pow: ['int32', 'int64', 'float16', 'float32', 'float64'],
  Sum: ['float16', 'float32', 'float64', 'bfloat16'],
};

/**
 * Reads kernels from the names of their classes, without the provider's: `Conv_kOnnxDomain_ver11_21_float` is made for
 * versions 11 to 21 of Conv on float32, `Gather_kOnnxDomain_ver13` for version 13 of Gather on any type.
 *
 * @throws OrtuneError `KERNEL_NAME` for a name of another form
 */
export function parseKernels(names: Iterable<string>): Kernels {
  const kernels = new Map<string, Kernel[]>();
  for (const name of names) {
    const match = /^(\w+?)_k(\w+?)Domain_ver(\d+)(?:_(\d+))?(?:_([A-Za-z]\w*))?$/.exec(name);
    if (!match) {
      throw new OrtuneError(
        'KERNEL_NAME',
        `expected a kernel's name such as Conv_kOnnxDomain_ver11_21_float, received '${name}'`,
      );
    }
    const [, op, domain, start, end, types = ''] = match as unknown as [
      string,
      string,
      string,
      string,
      string?,
      string?,
    ];
    const key = keyOf(DOMAINS[domain] ?? domain, op);
    const kernel: Kernel = {
      start: Number(start),
      ...(end !== undefined && { end: Number(end) }),
      types: (types.match(/[^_]+(_t)?/g) ?? []).map((type) => CPP_TYPES[type] ?? type),
    };
    kernels.set(key, [...(kernels.get(key) ?? []), kernel]);
  }
  return kernels;
}

const keyOf = (domain: string, op: string) => `${domain}:${op}`;

/**
 * The nodes of a model, those in the branches of an If among them, that a provider has no kernel for: ONNX Runtime runs
 * such nodes on the CPU, without a word, and copies their tensors there and back.
 *
 * Nodes that have a kernel may still be put on the CPU on purpose, as ONNX Runtime does with the computations on the few
 * numbers of a shape.
 */
export function uncovered(model: Model, kernels: Kernels): UncoveredNode[] {
  return uncoveredIn(model.graph, model.opsets, kernels, new Map());
}

function uncoveredIn(
  graph: Graph,
  opsets: Model['opsets'],
  kernels: Kernels,
  outer: ReadonlyMap<string, ElementType>,
): UncoveredNode[] {
  const known = [...graph.inputs, ...graph.outputs, ...graph.values.values(), ...graph.initializers.values()];
  const types = new Map([...outer, ...known.map(({ name, type }) => [name, type] as const)]);
  return graph.nodes.flatMap((node) => {
    const branches = Object.values(node.attributes).flatMap((attribute) =>
      attribute.kind === 'graph' ? uncoveredIn(attribute.value, opsets, kernels, types) : [],
    );
    const version = versionOf(node, opsets);
    const inputs = node.inputs.map((input) => types.get(input) ?? '');
    const reason = reasonAgainst(node, version, inputs, kernels.get(keyOf(node.domain, node.op)) ?? []);
    if (reason === undefined) return branches;
    return [{ node: node.name, op: node.op, domain: node.domain, version, types: inputs, reason }, ...branches];
  });
}

/** Other domains than ai.onnx have one version of each operator, their first. */
function versionOf({ op, domain }: Node, opsets: Model['opsets']): number | undefined {
  const opset = opsets.get(domain);
  if (domain !== '') return opset;
  return opset === undefined ? undefined : sinceVersion(op, opset);
}

function reasonAgainst(
  { op }: Node,
  version: number | undefined,
  inputs: readonly string[],
  named: readonly Kernel[],
): string | undefined {
  if (named.length === 0) return 'no kernel for this operator';
  if (version === undefined) return 'the version of this operator is not known';
  const ofVersion = named.filter((kernel) => takesVersion(kernel, version));
  if (ofVersion.length === 0) {
    const ranges = new Set(named.map(({ start, end }) => (end === undefined ? `${start}` : `${start} to ${end}`)));
    return `kernels for versions ${[...ranges].join(', ')} only`;
  }
  if (ofVersion.some((kernel) => takesTypes(kernel, op, inputs))) return undefined;
  const offered = ofVersion.map(({ types }) => (types.length > 0 ? types.join(' ') : UNTYPED_TAKE[op]?.join(', ')));
  return `kernels for types ${offered.join(', ')} only`;
}

/** A kernel registered without an end takes its own version alone: a later one may mean something else. */
function takesVersion({ start, end }: Kernel, version: number): boolean {
  return end === undefined ? version === start : version >= start && version <= end;
}

function takesTypes({ types }: Kernel, op: string, inputs: readonly string[]): boolean {
  if (types.length === 0) return UNTYPED_TAKE[op]?.some((type) => type === inputs[0]) ?? true;
  const typedBy = TYPED_BY[op] ?? [[0]];
  return (
    types.length === typedBy.length &&
    typedBy.every((positions, index) => positions.every((position) => inputs[position] === types[index]))
  );
}
