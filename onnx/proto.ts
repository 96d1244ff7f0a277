import protobuf from 'protobufjs/light.js';
import { type MessageTable, messageTypes } from './messages.ts';

/**
 * The ONNX messages that ortune reads and writes, as field tables: `name: [number, type]`, a trailing `[]` for repeated.
 * Numbers and types are those of the ONNX IR specification (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto);
 * fields that ortune has no use for are left out and skipped when reading.
 */
const MESSAGES: MessageTable = {
  ModelProto: {
    irVersion: [1, 'int64'],
    producerName: [2, 'string'],
    producerVersion: [3, 'string'],
    docString: [6, 'string'],
    graph: [7, 'GraphProto'],
    opsetImport: [8, 'OperatorSetIdProto[]'],
    metadataProps: [14, 'StringStringEntryProto[]'],
  },
  OperatorSetIdProto: { domain: [1, 'string'], version: [2, 'int64'] },
  StringStringEntryProto: { key: [1, 'string'], value: [2, 'string'] },
  GraphProto: {
    node: [1, 'NodeProto[]'],
    name: [2, 'string'],
    initializer: [5, 'TensorProto[]'],
    input: [11, 'ValueInfoProto[]'],
    output: [12, 'ValueInfoProto[]'],
    valueInfo: [13, 'ValueInfoProto[]'],
  },
  NodeProto: {
    input: [1, 'string[]'],
    output: [2, 'string[]'],
    name: [3, 'string'],
    opType: [4, 'string'],
    attribute: [5, 'AttributeProto[]'],
    domain: [7, 'string'],
  },
  AttributeProto: {
    name: [1, 'string'],
    f: [2, 'float'],
    i: [3, 'int64'],
    s: [4, 'bytes'],
    t: [5, 'TensorProto'],
    g: [6, 'GraphProto'],
    floats: [7, 'float[]'],
    ints: [8, 'int64[]'],
    type: [20, 'int32'],
  },
  TensorProto: {
    dims: [1, 'int64[]'],
    dataType: [2, 'int32'],
    floatData: [4, 'float[]'],
    int32Data: [5, 'int32[]'],
    int64Data: [7, 'int64[]'],
    name: [8, 'string'],
    rawData: [9, 'bytes'],
    doubleData: [10, 'double[]'],
    externalData: [13, 'StringStringEntryProto[]'],
    dataLocation: [14, 'int32'],
  },
  ValueInfoProto: { name: [1, 'string'], type: [2, 'TypeProto'] },
  TypeProto: { tensorType: [1, 'TensorTypeProto'], sequenceType: [4, 'SequenceTypeProto'] },
  TensorTypeProto: { elemType: [1, 'int32'], shape: [2, 'TensorShapeProto'] },
  SequenceTypeProto: { elemType: [1, 'TypeProto'] },
  TensorShapeProto: { dim: [1, 'DimensionProto[]'] },
  DimensionProto: { dimValue: [1, 'int64'], dimParam: [2, 'string'] },
};

const namespace = messageTypes('onnx', MESSAGES);
const { ModelProto: model, GraphProto: graph, ...others } = MESSAGES;
const outputsNamespace = messageTypes('onnx_outputs', {
  ...others,
  ModelProto: { graph: model!['graph']! },
  GraphProto: { output: graph!['output']! },
});

/** The protobufjs types of a whole ONNX model and of its large parts. */
export const ModelProto = namespace.lookupType('ModelProto');
export const GraphProto = namespace.lookupType('GraphProto');
export const TensorProto = namespace.lookupType('TensorProto');
/** A whole model of which only the outputs are read: past nodes and weights. */
export const OutputsProto = outputsNamespace.lookupType('ModelProto');
export const { Writer } = protobuf;

/** Plain shapes of the messages: what {@link ModelProto} encodes from and, for present fields, decodes to. */
export type Int64 = number | { toNumber(): number; toString(): string };

export interface ModelMessage {
  irVersion?: Int64;
  producerName?: string;
  producerVersion?: string;
  docString?: string;
  graph?: GraphMessage;
  opsetImport?: { domain?: string; version?: Int64 }[];
  metadataProps?: { key?: string; value?: string }[];
}

export interface GraphMessage {
  node?: NodeMessage[];
  name?: string;
  initializer?: TensorMessage[];
  input?: ValueInfoMessage[];
  output?: ValueInfoMessage[];
  valueInfo?: ValueInfoMessage[];
}

export interface NodeMessage {
  input?: string[];
  output?: string[];
  name?: string;
  opType?: string;
  attribute?: AttributeMessage[];
  domain?: string;
}

export interface AttributeMessage {
  name?: string;
  f?: number;
  i?: Int64;
  s?: Uint8Array;
  t?: TensorMessage;
  g?: GraphMessage;
  floats?: number[];
  ints?: Int64[];
  type?: number;
}

export interface TensorMessage {
  dims?: Int64[];
  dataType?: number;
  floatData?: number[];
  int32Data?: number[];
  int64Data?: Int64[];
  name?: string;
  rawData?: Uint8Array;
  doubleData?: number[];
  externalData?: { key?: string; value?: string }[];
  dataLocation?: number;
}

export interface ValueInfoMessage {
  name?: string;
  type?: TypeMessage;
}

export interface TypeMessage {
  tensorType?: { elemType?: number; shape?: { dim?: { dimValue?: Int64; dimParam?: string }[] } } | null;
  sequenceType?: { elemType?: TypeMessage } | null;
}

/** A protobuf int64 as a number; ortune's own fields (dims, versions, attributes) are far below 2^53. */
export function toNumber(value: Int64 | undefined): number {
  if (value === undefined) return 0;
  return typeof value === 'number' ? value : value.toNumber();
}
