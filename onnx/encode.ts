import { VERSION } from '../src/version.ts';
import {
  ATTRIBUTE_CODES,
  type Attribute,
  ELEMENT_TYPES,
  type Graph,
  type Initializer,
  IR_VERSION,
  type Model,
  type Node,
  type ValueInfo,
} from './model.ts';
import {
  type AttributeMessage,
  type GraphMessage,
  GraphProto,
  type ModelMessage,
  ModelProto,
  type NodeMessage,
  type TensorMessage,
  TensorProto,
  type ValueInfoMessage,
  Writer,
} from './proto.ts';

/** Serialises a model as a `.onnx` file's bytes. */
export function encodeModel(model: Model): Uint8Array {
  return Buffer.concat([...encodeModelChunks(model)]);
}

/**
 * The bytes of {@link encodeModel} piece by piece. The initializers' own bytes come as they are, without a copy: a
 * network's hundred megabytes can go to a file without holding up the event loop.
 */
export function* encodeModelChunks({ graph, opsets, metadata, description }: Model): Generator<Uint8Array> {
  const pieces = [
    GraphProto.encode(encodeGraph(graph)).finish(),
    ...[...graph.initializers.values()].flatMap(initializerField),
  ];
  const about: ModelMessage = {
    irVersion: IR_VERSION,
    producerName: 'ortune',
    producerVersion: VERSION,
    ...(description && { docString: description }),
    opsetImport: [...opsets].map(([domain, version]) => ({ domain, version })),
    metadataProps: [...metadata].map(([key, value]) => ({ key, value })),
  };
  // Fields may follow each other in any order (protobuf's encoding guide), so the graph can come last, and in it its tensors.
  yield ModelProto.encode(about).finish();
  yield fieldHead(ModelProto, 'graph', byteLength(pieces));
  yield* pieces;
}

/** An initializer as a field of the graph: what is said about it, and its bytes. */
function initializerField(tensor: Initializer): Uint8Array[] {
  const message: TensorMessage = {
    dims: [...tensor.dims],
    dataType: ELEMENT_TYPES[tensor.type].code,
    name: tensor.name,
  };
  const about = TensorProto.encode(message).finish();
  const dataHead = fieldHead(TensorProto, 'rawData', tensor.data.byteLength);
  const head = fieldHead(GraphProto, 'initializer', byteLength([about, dataHead, tensor.data]));
  return [Buffer.concat([head, about, dataHead]), tensor.data];
}

/** Number, wire type 2 ("length-delimited") and length of a field whose bytes follow. */
function fieldHead(type: typeof ModelProto, field: string, length: number): Uint8Array {
  const id = type.fields[field]?.id as number;
  return Writer.create()
    .uint32(id * 8 + 2)
    .uint32(length)
    .finish();
}

const byteLength = (pieces: readonly Uint8Array[]) => pieces.reduce((sum, piece) => sum + piece.byteLength, 0);

/** A graph without its initializers: a model's follow it piece by piece, and a branch has none. */
function encodeGraph(graph: Graph): GraphMessage {
  return {
    name: graph.name,
    node: graph.nodes.map(encodeNode),
    input: graph.inputs.map(encodeValueInfo),
    output: graph.outputs.map(encodeValueInfo),
    valueInfo: [...graph.values.values()].map(encodeValueInfo),
  };
}

function encodeNode(node: Node): NodeMessage {
  return {
    input: [...node.inputs],
    output: [...node.outputs],
    name: node.name,
    opType: node.op,
    domain: node.domain,
    attribute: Object.entries(node.attributes).map(([name, attribute]) => encodeAttribute(name, attribute)),
  };
}

function encodeAttribute(name: string, attribute: Attribute): AttributeMessage {
  const type = ATTRIBUTE_CODES[attribute.kind];
  switch (attribute.kind) {
    case 'int':
      return { name, type, i: attribute.value };
    case 'float':
      return { name, type, f: attribute.value };
    case 'ints':
      return { name, type, ints: [...attribute.value] };
    case 'floats':
      return { name, type, floats: [...attribute.value] };
    case 'string':
      return { name, type, s: new TextEncoder().encode(attribute.value) };
    case 'graph':
      return { name, type, g: encodeGraph(attribute.value) };
  }
}

function encodeValueInfo(value: ValueInfo): ValueInfoMessage {
  const elemType = ELEMENT_TYPES[value.type].code;
  if (value.sequence) return { name: value.name, type: { sequenceType: { elemType: { tensorType: { elemType } } } } };
  const dim = value.dims.map((length) => (typeof length === 'number' ? { dimValue: length } : { dimParam: length }));
  return { name: value.name, type: { tensorType: { elemType, shape: { dim } } } };
}
