import { Builder } from 'flatbuffers';
import { ELEMENT_TYPES, type Initializer } from './model.ts';

/** What a training session starts from. */
export interface CheckpointContents {
  readonly trainable: readonly Initializer[];
  readonly frozen: readonly Initializer[];
}

const FILE_IDENTIFIER = 'ODTC';
const FORMAT_VERSION = 2;

/**
 * Serialises a fresh ONNX Runtime training checkpoint: parameters without optimizer state, which the library then
 * starts at zero. A FlatBuffers file by the schema `onnxruntime/core/flatbuffers/schema/ort_training_checkpoint.fbs`;
 * the slot numbers below are its field order.
 */
export function encodeCheckpoint({ trainable, frozen }: CheckpointContents): Uint8Array {
  const size = [...trainable, ...frozen].reduce(
    (sum, { data, name }) => sum + data.byteLength + name.length + 128,
    1024,
  );
  // Grown to size at once: doubling would copy a hundred megabytes several times.
  const builder = new Builder(size);
  const requiresGrad = writeTensors(builder, trainable);
  const rest = writeTensors(builder, frozen);

  builder.startObject(4); // ModuleState
  builder.addFieldOffset(0, requiresGrad, 0);
  builder.addFieldOffset(1, rest, 0);
  const moduleState = builder.endObject();

  builder.startObject(4); // Checkpoint
  builder.addFieldInt32(0, FORMAT_VERSION, 0);
  builder.addFieldOffset(1, moduleState, 0);
  builder.finish(builder.endObject(), FILE_IDENTIFIER);
  return builder.asUint8Array();
}

function writeTensors(builder: Builder, tensors: readonly Initializer[]): number {
  const offsets = tensors.map((tensor) => writeTensor(builder, tensor));
  builder.startVector(4, offsets.length, 4);
  for (const offset of offsets.toReversed()) builder.addOffset(offset);
  return builder.endVector();
}

function writeTensor(builder: Builder, tensor: Initializer): number {
  const name = builder.createString(tensor.name);
  const data = builder.createByteVector(tensor.data);
  builder.startVector(8, tensor.dims.length, 8);
  for (const length of tensor.dims.toReversed()) builder.addInt64(BigInt(length));
  const dims = builder.endVector();

  builder.startObject(7); // Tensor
  builder.addFieldOffset(0, name, 0);
  builder.addFieldOffset(2, dims, 0);
  builder.addFieldInt32(3, ELEMENT_TYPES[tensor.type].code, 0);
  builder.addFieldOffset(4, data, 0);
  return builder.endObject();
}
