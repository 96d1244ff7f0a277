import type { StoredType, TensorData } from './element-types.ts';

/** Formats that weights come in. */
export type WeightFormat = 'paddle-folder' | 'paddle-combined' | 'paddle-state' | 'safetensors' | 'torch' | 'onnx';

/** What a file says about one tensor. */
export interface WeightInfo {
  /** The name in the file; a Paddle combined file holds none, its records are named by position: `'0'`, `'1'`, ... */
  readonly name: string;
  /** Element type as stored. */
  readonly type: StoredType;
  /** Shape, outermost first; `[]` is a scalar. */
  readonly dims: readonly number[];
}

/** A tensor with its values, row-major. float16 and bfloat16 are widened to float32; `type` keeps the stored type. */
export interface WeightTensor extends WeightInfo {
  readonly data: TensorData;
}

/** An opened source of weights: names, types and shapes are known, values are read one tensor at a time. */
export interface WeightFile {
  readonly format: WeightFormat;
  readonly path: string;
  readonly tensors: ReadonlyMap<string, WeightInfo>;
  /** What lies in the source beside tensors that can be read: other files of a folder, types that no weight has. */
  readonly ignored: readonly string[];
  /** @throws OrtuneError `WEIGHTS_UNKNOWN_TENSOR` for a name that is not in {@link tensors} */
  read(name: string): Promise<WeightTensor>;
  /** Closes the file. */
  close(): Promise<void>;
}
