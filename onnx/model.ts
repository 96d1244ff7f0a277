import { OrtuneError } from '../src/errors.ts';
import {
  type AttributeMessage,
  type GraphMessage,
  type ModelMessage,
  ModelProto,
  type NodeMessage,
  type TensorMessage,
  type TypeMessage,
  toNumber,
  type ValueInfoMessage,
} from './proto.ts';

/** ONNX element types that ortune meets, with their `TensorProto.DataType` number and size in bytes. */
export const ELEMENT_TYPES = {
  float32: { code: 1, bytes: 4 },
  uint8: { code: 2, bytes: 1 },
  int8: { code: 3, bytes: 1 },
  uint16: { code: 4, bytes: 2 },
  int16: { code: 5, bytes: 2 },
  int32: { code: 6, bytes: 4 },
  int64: { code: 7, bytes: 8 },
  bool: { code: 9, bytes: 1 },
  float16: { code: 10, bytes: 2 },
  float64: { code: 11, bytes: 8 },
  bfloat16: { code: 16, bytes: 2 },
} as const;

export type ElementType = keyof typeof ELEMENT_TYPES;

const TYPE_NAMES: ReadonlyMap<number, ElementType> = new Map(
  Object.entries(ELEMENT_TYPES).map(([name, { code }]) => [code, name as ElementType]),
);

/** A dimension: a length, or the name of one that is known only when the model runs (`'batch'`). */
export type Dimension = number | string;

/** Name, element type and shape of a tensor; `sequence` marks a sequence of tensors, whose shape is open. */
export interface ValueInfo {
  readonly name: string;
  readonly type: ElementType;
  readonly dims: readonly Dimension[];
  readonly sequence?: boolean;
}

/** A constant tensor: little-endian, row-major bytes. */
export interface Initializer {
  readonly name: string;
  readonly type: ElementType;
  readonly dims: readonly number[];
  readonly data: Uint8Array;
}

/** A node's attribute. */
export type Attribute =
  | { readonly kind: 'int' | 'float'; readonly value: number }
  | { readonly kind: 'ints' | 'floats'; readonly value: readonly number[] }
  | { readonly kind: 'string'; readonly value: string }
  /** A branch of an If: it also reads the tensors of the graph around it. */
  | { readonly kind: 'graph'; readonly value: Graph };

/** An operator with its inputs, outputs and attributes. */
export interface Node {
  readonly op: string;
  /** Operator set: `''` is ai.onnx. */
  readonly domain: string;
  readonly name: string;
  /** `''` stands for an omitted optional input or output. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, Attribute>>;
}

/** A graph: nodes in topological order, and what they read and give. */
export interface Graph {
  readonly name: string;
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  readonly nodes: readonly Node[];
  /** In the order of the file; the order of parameters in training artifacts follows it. */
  readonly initializers: ReadonlyMap<string, Initializer>;
  /** Types and shapes of the tensors between the nodes. */
  readonly values: ReadonlyMap<string, ValueInfo>;
}

export interface Model {
  readonly graph: Graph;
  /** Operator set versions by domain. */
  readonly opsets: ReadonlyMap<string, number>;
  /** `metadata_props`: free text by key. */
  readonly metadata: ReadonlyMap<string, string>;
  /** `doc_string`: what it is, for people. */
  readonly description?: string;
}

/** IR version 8 goes with opset 17, the newest whose every operator has a CUDA kernel in the training library. */
export const IR_VERSION = 8;
export const OPSET = 17;

/**
 * Reads a `.onnx` file's bytes. Tensor data stay views into `bytes`.
 * @throws OrtuneError `ONNX_INVALID` when the bytes are no ONNX model or use what ortune does not read
 */
export function decodeModel(bytes: Uint8Array): Model {
  let message: ModelMessage;
  try {
    message = ModelProto.decode(bytes) as ModelMessage;
  } catch (error) {
    throw new OrtuneError('ONNX_INVALID', `expected an ONNX model, but the file does not parse: ${String(error)}`);
  }
  if (!message.graph) throw new OrtuneError('ONNX_INVALID', 'expected an ONNX model, but the file holds no graph');
  return {
    graph: decodeGraph(message.graph),
    opsets: new Map((message.opsetImport ?? []).map((entry) => [entry.domain ?? '', toNumber(entry.version)])),
    metadata: new Map((message.metadataProps ?? []).map((entry) => [entry.key ?? '', entry.value ?? ''])),
    ...(message.docString && { description: message.docString }),
  };
}

function decodeGraph(graph: GraphMessage): Graph {
  const initializers = (graph.initializer ?? []).map(decodeTensor);
  const values = (graph.valueInfo ?? []).map(decodeValueInfo);
  return {
    name: graph.name ?? '',
    inputs: (graph.input ?? []).map(decodeValueInfo),
    outputs: (graph.output ?? []).map(decodeValueInfo),
    nodes: (graph.node ?? []).map(decodeNode),
    initializers: new Map(initializers.map((tensor) => [tensor.name, tensor])),
    values: new Map(values.map((value) => [value.name, value])),
  };
}

function decodeNode(node: NodeMessage): Node {
  return {
    op: node.opType ?? '',
    domain: node.domain ?? '',
    name: node.name ?? '',
    inputs: node.input ?? [],
    outputs: node.output ?? [],
    attributes: Object.fromEntries(
      (node.attribute ?? []).map((attribute) => [attribute.name ?? '', decodeAttribute(attribute)]),
    ),
  };
}

/** `AttributeProto.AttributeType` numbers. */
export const ATTRIBUTE_CODES = { float: 1, int: 2, string: 3, graph: 5, floats: 6, ints: 7 } as const;

function decodeAttribute(attribute: AttributeMessage): Attribute {
  switch (attribute.type) {
    case ATTRIBUTE_CODES.int:
      return { kind: 'int', value: toNumber(attribute.i) };
    case ATTRIBUTE_CODES.float:
      return { kind: 'float', value: attribute.f ?? 0 };
    case ATTRIBUTE_CODES.ints:
      return { kind: 'ints', value: (attribute.ints ?? []).map(toNumber) };
    case ATTRIBUTE_CODES.floats:
      return { kind: 'floats', value: attribute.floats ?? [] };
    case ATTRIBUTE_CODES.string:
      return { kind: 'string', value: new TextDecoder().decode(attribute.s) };
    case ATTRIBUTE_CODES.graph:
      return { kind: 'graph', value: decodeGraph(attribute.g ?? {}) };
    default:
      throw new OrtuneError(
        'ONNX_INVALID',
        `attribute '${attribute.name}': expected an int, float, string, graph, ints or floats attribute, received type ${attribute.type}`,
      );
  }
}

function decodeValueInfo(value: ValueInfoMessage): ValueInfo {
  const name = value.name ?? '';
  const sequence = Boolean(value.type?.sequenceType);
  const type: TypeMessage | undefined = sequence ? value.type?.sequenceType?.elemType : value.type;
  const dims = (type?.tensorType?.shape?.dim ?? []).map((dim) => dim.dimParam || toNumber(dim.dimValue));
  return { name, type: elementType(type?.tensorType?.elemType, name), dims, ...(sequence && { sequence }) };
}

function decodeTensor(tensor: TensorMessage): Initializer {
  const name = tensor.name ?? '';
  if (tensor.dataLocation === 1) {
    throw new OrtuneError(
      'ONNX_INVALID',
      `initializer '${name}': expected data inside the model, received a reference to another file`,
    );
  }
  const type = elementType(tensor.dataType, name);
  const dims = (tensor.dims ?? []).map(toNumber);
  const data = tensorBytes(tensor);
  const expected = dims.reduce((product, length) => product * length, 1) * ELEMENT_TYPES[type].bytes;
  if (data.byteLength !== expected || dims.some((length) => length < 0)) {
    throw new OrtuneError(
      'ONNX_INVALID',
      `initializer '${name}': expected ${expected} bytes for ${type} [${dims.join(', ')}], received ${data.byteLength}`,
    );
  }
  return { name, type, dims, data };
}

/** A tensor's little-endian bytes, whichever of its typed fields they are in. */
export function tensorBytes(tensor: TensorMessage): Uint8Array {
  if (tensor.rawData?.length) return tensor.rawData;
  if (tensor.floatData?.length) return bytesOf(Float32Array.from(tensor.floatData));
  if (tensor.doubleData?.length) return bytesOf(Float64Array.from(tensor.doubleData));
  // Through text: a slice's open end, 2^63 - 1, is no double.
  if (tensor.int64Data?.length) {
    return bytesOf(BigInt64Array.from(tensor.int64Data, (value) => BigInt(value.toString())));
  }
  if (!tensor.int32Data?.length) return new Uint8Array();
  // int32_data also carries the narrower types, an element to a field.
  const width = ELEMENT_TYPES[elementType(tensor.dataType, tensor.name ?? '')].bytes;
  const values = Int32Array.from(tensor.int32Data);
  if (width === 4) return bytesOf(values);
  return width === 2 ? bytesOf(Uint16Array.from(values)) : Uint8Array.from(values);
}

/** The element type of a `TensorProto.DataType` number. */
export function elementType(code: number | undefined, tensor: string): ElementType {
  const type = TYPE_NAMES.get(code ?? 0);
  if (!type) {
    const known = [...TYPE_NAMES.values()].join(', ');
    throw new OrtuneError(
      'ONNX_INVALID',
      `tensor '${tensor}': expected one of ${known}, received ONNX data type ${code}`,
    );
  }
  return type;
}

/** The bytes under a typed array, without a copy (every platform that ortune runs on is little-endian). */
export function bytesOf(array: ArrayBufferView): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

/** The numbers of a float32 tensor; copied only where the bytes do not lie on a multiple of four. */
export function floatsOf(tensor: Initializer): Float32Array {
  const { data } = tensor;
  // Not `slice`: protobufjs gives Buffers, and a Buffer's slice is no copy.
  const aligned = data.byteOffset % 4 === 0 ? data : Uint8Array.from(data);
  return new Float32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 4);
}
