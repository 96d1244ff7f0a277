/** What TensorBoard shows, as values of an event: tensors that say which of its plugins they are for. */
import type { Buckets } from './histogram.ts';
import type { TensorMessage, ValueMessage } from './proto.ts';

const FLOAT = 1;
const DOUBLE = 2;
const STRING = 7;

/** `SummaryMetadata`'s data classes. */
const SCALAR = 1;
const TENSOR = 2;
const BLOB_SEQUENCE = 3;

export interface ShownPicture {
  /** A PNG or JPEG file. */
  readonly file: Uint8Array;
  /** In pixels. */
  readonly width: number;
  readonly height: number;
}

export function scalar(tag: string, value: number): ValueMessage {
  return shown(tag, 'scalars', SCALAR, { dtype: FLOAT, ...shape(), tensorContent: bytesOf(Float32Array.of(value)) });
}

/** A histogram: float64 [buckets, 3], each with its lower end, its upper end and how many values are in it. */
export function histogram(tag: string, { edges, counts }: Buckets): ValueMessage {
  const rows = counts.flatMap((count, index) => [edges[index]!, edges[index + 1]!, count]);
  const tensorContent = bytesOf(Float64Array.from(rows));
  return shown(tag, 'histograms', TENSOR, { dtype: DOUBLE, ...shape(counts.length, 3), tensorContent });
}

/** A picture: string [3] of width, height and the file. */
export function picture(tag: string, { file, width, height }: ShownPicture): ValueMessage {
  const stringVal = [Buffer.from(String(width)), Buffer.from(String(height)), file];
  return shown(tag, 'images', BLOB_SEQUENCE, { dtype: STRING, ...shape(stringVal.length), stringVal });
}

function shown(tag: string, pluginName: string, dataClass: number, tensor: TensorMessage): ValueMessage {
  return { tag, tensor, metadata: { pluginData: { pluginName }, dataClass } };
}

const shape = (...dims: number[]) => ({ tensorShape: { dim: dims.map((size) => ({ size })) } });

/** Little-endian, as the file has it and every machine that Node runs on. */
const bytesOf = ({ buffer }: Float32Array | Float64Array) => new Uint8Array(buffer);
