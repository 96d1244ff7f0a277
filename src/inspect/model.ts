import { ELEMENT_TYPES, tensorBytes } from '../../onnx/model.ts';
import { BUFFER_ENDING, isUpdateState, RESET_FLAG } from '../../onnx/names.ts';
import {
  type GraphMessage,
  type ModelMessage,
  ModelProto,
  type TensorMessage,
  type TypeMessage,
  toNumber,
  type ValueInfoMessage,
} from '../../onnx/proto.ts';
import { OrtuneError } from '../errors.ts';
import { allNodes, batchNorms, parameterNames, statisticNames } from './graph-roles.ts';
import type { GraphDescription, HeldTensor, ModelKind, OpenFile, Role, StageRoles, TensorType } from './types.ts';
import { elementBytes } from './values.ts';

/** `TensorProto.DataType` numbers of onnx.proto beyond those that ortune computes with. */
const OTHER_TYPES: Readonly<Record<number, string>> = {
  8: 'string',
  12: 'uint32',
  13: 'uint64',
  14: 'complex64',
  15: 'complex128',
  17: 'float8e4m3fn',
  18: 'float8e4m3fnuz',
  19: 'float8e5m2',
  20: 'float8e5m2fnuz',
  21: 'uint4',
  22: 'int4',
  23: 'float4e2m1',
};

const TYPE_NAMES: ReadonlyMap<number, string> = new Map([
  ...Object.entries(ELEMENT_TYPES).map(([name, { code }]) => [code, name] as const),
  ...Object.entries(OTHER_TYPES).map(([code, name]) => [Number(code), name] as const),
]);

/**
 * Parses a model's messages. Not `decodeModel`, which refuses whatever ortune cannot compute with: attributes of other
 * kinds, other element types, values in other files.
 * @throws OrtuneError `ONNX_INVALID`
 */
export function parseModel(bytes: Uint8Array, path: string): ModelMessage & { graph: GraphMessage } {
  let message: ModelMessage;
  try {
    message = ModelProto.decode(bytes) as ModelMessage;
  } catch (error) {
    throw unreadable(path, `it does not parse as ONNX (${(error as Error).message})`, error);
  }
  const { graph } = message;
  if (!graph) throw unreadable(path, 'it parses as ONNX but holds no graph');
  return { ...message, graph };
}

function unreadable(path: string, reason: string, cause?: unknown): OrtuneError {
  return new OrtuneError(
    'ONNX_INVALID',
    `${path}: expected an ONNX model or a training checkpoint, but it is cut short, damaged or of another kind: ${reason}`,
    { cause },
  );
}

/** What a training model does with its parameters; `undefined` for other models. */
export function stageOf(graph: GraphMessage): StageRoles | undefined {
  const names = (graph.input ?? []).map(({ name }) => name ?? '');
  const buffers = names.filter((name) => name.endsWith(BUFFER_ENDING));
  if (buffers.length === 0 && !names.includes(RESET_FLAG)) return undefined;
  return {
    trained: new Set(buffers.map((name) => name.slice(0, -BUFFER_ENDING.length))),
    moved: statisticNames(graph, 'moved'),
  };
}

/**
 * Describes a model.
 * @param stage what the stage around the model does, where known
 */
export function openModel(
  message: ModelMessage & { graph: GraphMessage },
  file: Pick<OpenFile, 'path' | 'content'>,
  stage?: StageRoles,
): OpenFile {
  const { graph } = message;
  const own = stageOf(graph);
  const roles = roleFinder(graph, own, stage);
  const initializers = new Set((graph.initializer ?? []).map(({ name }) => name));
  const inputs = (graph.input ?? []).map(tensorType).filter(({ name }) => !initializers.has(name));
  const tensors: HeldTensor[] = [];
  const fed: TensorType[] = [];
  for (const input of inputs) {
    const role = roles.ofInput(input);
    if (role) tensors.push({ ...input, role });
    else fed.push(input);
  }
  const takesParameters = tensors.some(({ role }) => role !== 'gradient');
  for (const tensor of graph.initializer ?? [])
    tensors.push(heldTensor(tensor, roles.ofInitializer(tensor.name ?? '')));
  const kind: ModelKind = own
    ? 'training model'
    : isOptimizer(graph)
      ? 'optimizer model'
      : takesParameters
        ? 'evaluation model'
        : 'model';
  return { ...file, kind, graph: describeGraph(message, fed), tensors };
}

function roleFinder(graph: GraphMessage, own: StageRoles | undefined, around: StageRoles | undefined) {
  const stage = own ?? around;
  const parameters = parameterNames(graph);
  const inputs = new Set((graph.input ?? []).map(({ name }) => name ?? ''));
  const isStatic = ({ dims }: TensorType) => dims.every((length) => typeof length === 'number');
  const known = (name: string, otherwise: Role): Role => {
    if (stage?.trained.has(name)) return 'trained';
    if (stage?.moved.has(name)) return 'moved';
    return stage ? 'frozen' : otherwise;
  };
  // Artifacts' models take what is in the checkpoint as inputs, and keep within them what no stage touches.
  const valued = new Set((graph.initializer ?? []).map(({ name }) => name));
  const isArtifact = own !== undefined || [...inputs].some((name) => parameters.has(name) && !valued.has(name));
  return {
    ofInput(input: TensorType): Role | undefined {
      const { name } = input;
      if (own && (name.endsWith(BUFFER_ENDING) || name === RESET_FLAG)) return 'gradient';
      if (isUpdateState(name, (parameter) => inputs.has(parameter))) return 'optimizer';
      if (stage?.trained.has(name) || stage?.moved.has(name)) return known(name, 'parameter');
      return parameters.has(name) && isStatic(input) ? known(name, 'parameter') : undefined;
    },
    ofInitializer: (name: string): Role =>
      parameters.has(name) ? known(name, isArtifact ? 'frozen' : 'parameter') : 'constant',
  };
}

const isOptimizer = (graph: GraphMessage) =>
  (graph.node ?? []).some(({ opType }) => opType === 'AdamWOptimizer' || opType === 'SGDOptimizerV2');

function describeGraph(message: ModelMessage & { graph: GraphMessage }, inputs: TensorType[]): GraphDescription {
  const { graph, producerName = '', producerVersion = '' } = message;
  const operators = new Map<string, number>();
  for (const { domain, opType = '' } of allNodes(graph)) {
    const operator = domain && domain !== 'ai.onnx' ? `${domain}::${opType}` : opType;
    operators.set(operator, (operators.get(operator) ?? 0) + 1);
  }
  return {
    producer: [producerName, producerVersion].filter(Boolean).join(' '),
    opsets: Object.fromEntries(
      (message.opsetImport ?? []).map((entry) => [entry.domain ?? '', toNumber(entry.version)]),
    ),
    metadata: Object.fromEntries((message.metadataProps ?? []).map((entry) => [entry.key ?? '', entry.value ?? ''])),
    inputs,
    outputs: (graph.output ?? []).map(tensorType),
    operators: Object.fromEntries([...operators].sort(([one, a], [other, b]) => b - a || (one < other ? -1 : 1))),
    batchNorms: batchNorms(graph),
  };
}

function tensorType({ name = '', type }: ValueInfoMessage): TensorType {
  const element: TypeMessage | undefined = type?.sequenceType?.elemType ?? type;
  const dims = (element?.tensorType?.shape?.dim ?? []).map((dim) => dim.dimParam || toNumber(dim.dimValue) || '?');
  const typeName = element?.tensorType ? nameOf(element.tensorType.elemType) : 'no tensor';
  return { name, type: type?.sequenceType ? `sequence of ${typeName}` : typeName, dims };
}

const nameOf = (code = 0) => TYPE_NAMES.get(code) ?? `type ${code}`;

function heldTensor(tensor: TensorMessage, role: Role): HeldTensor {
  const type = nameOf(tensor.dataType);
  const dims = (tensor.dims ?? []).map(toNumber);
  const held = { name: tensor.name ?? '', type, dims, role };
  const element = elementBytes(type);
  // DataLocation 1: in another file.
  if (element === undefined || tensor.dataLocation === 1) return held;
  const isRead = tensor.rawData?.length || type in ELEMENT_TYPES;
  const data = isRead ? tensorBytes(tensor) : new Uint8Array();
  const bytes = dims.reduce((product, length) => product * length, element);
  return data.byteLength === bytes ? { ...held, data } : held;
}
