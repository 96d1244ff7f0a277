import { type MessageTable, messageTypes } from '../../onnx/messages.ts';

/**
 * The messages of event files, as far as they are written here: `name: [number, type]`, a trailing `[]` for repeated.
 * Numbers and types are TensorBoard's own (tensorboard/compat/proto: event.proto, summary.proto, tensor.proto).
 */
const MESSAGES: MessageTable = {
  Event: {
    wallTime: [1, 'double'],
    step: [2, 'int64'],
    fileVersion: [3, 'string'],
    summary: [5, 'Summary'],
  },
  Summary: { value: [1, 'Value[]'] },
  Value: { tag: [1, 'string'], tensor: [8, 'TensorProto'], metadata: [9, 'SummaryMetadata'] },
  SummaryMetadata: { pluginData: [1, 'PluginData'], dataClass: [4, 'int32'] },
  PluginData: { pluginName: [1, 'string'] },
  TensorProto: {
    dtype: [1, 'int32'],
    tensorShape: [2, 'TensorShapeProto'],
    tensorContent: [4, 'bytes'],
    stringVal: [8, 'bytes[]'],
  },
  TensorShapeProto: { dim: [2, 'Dim[]'] },
  Dim: { size: [1, 'int64'] },
};

const namespace = messageTypes('tensorboard', MESSAGES);
const Event = namespace.lookupType('Event');

export interface EventMessage {
  /** Seconds since 1970. */
  readonly wallTime: number;
  readonly step?: number;
  readonly fileVersion?: string;
  readonly summary?: { readonly value: readonly ValueMessage[] };
}

export interface ValueMessage {
  readonly tag: string;
  readonly tensor: TensorMessage;
  readonly metadata: { readonly pluginData: { readonly pluginName: string }; readonly dataClass: number };
}

export interface TensorMessage {
  readonly dtype: number;
  readonly tensorShape: { readonly dim: readonly { readonly size: number }[] };
  readonly tensorContent?: Uint8Array;
  readonly stringVal?: readonly Uint8Array[];
}

export const encodeEvent = (event: EventMessage): Uint8Array => Event.encode(event).finish();
