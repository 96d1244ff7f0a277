import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface StoredTensor {
  readonly dims: readonly number[];
  readonly data: Float32Array;
}

/** Every float32 tensor of a safetensors file: u64 header length, JSON header, data. */
export function readSafetensors(folder: string, file: string): Map<string, StoredTensor> {
  const bytes = readFileSync(join(folder, 'weights', file));
  const start = 8 + Number(bytes.readBigUInt64LE());
  const header = JSON.parse(bytes.toString('utf8', 8, start)) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  const tensors = new Map<string, StoredTensor>();
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__' || entry.dtype !== 'F32') continue;
    const [begin, end] = entry.data_offsets;
    // Copied, for a float32 view must begin at a multiple of four.
    const data = new Float32Array(Uint8Array.from(bytes.subarray(start + begin, start + end)).buffer);
    tensors.set(name, { dims: entry.shape, data });
  }
  return tensors;
}

const BATCH_NORM_FIELDS: Readonly<Record<string, string>> = {
  weight: 'scale',
  bias: 'offset',
  running_mean: 'mean',
  running_var: 'variance',
};

/** The tutorial's name of a torchvision ResNet50 parameter; `undefined` for what has no counterpart there. */
export function tutorialName(torchvision: string): string | undefined {
  if (torchvision === 'fc.weight') return 'fc_0.w_0';
  if (torchvision === 'fc.bias') return 'fc_0.b_0';
  if (torchvision === 'conv1.weight') return 'conv1_weights';
  const stem = /^bn1\.(\w+)$/.exec(torchvision);
  if (stem) return batchNormName('bn_conv1', stem[1]!);
  const parts = /^layer(\d)\.(\d)\.(conv|bn|downsample\.)(\d)\.(\w+)$/.exec(torchvision);
  if (!parts) return undefined;
  const [, layer, block, kind, number, field] = parts as unknown as [string, string, string, string, string, string];
  const place = `${Number(layer) + 1}${'abcdef'[Number(block)]}`;
  const branch = kind === 'downsample.' ? 'branch1' : `branch2${'_abc'[Number(number)]}`;
  const isConvolution = kind === 'conv' || (kind === 'downsample.' && number === '0');
  return isConvolution ? `res${place}_${branch}_weights` : batchNormName(`bn${place}_${branch}`, field);
}

function batchNormName(prefix: string, field: string): string | undefined {
  const suffix = BATCH_NORM_FIELDS[field];
  return suffix && `${prefix}_${suffix}`;
}

/** [rows, columns] to [columns, rows]: torch keeps a linear layer's weights as [classes, features]. */
export function transpose({ dims, data }: StoredTensor): StoredTensor {
  const [rows, columns] = dims as [number, number];
  const turned = new Float32Array(data.length);
  for (let index = 0; index < data.length; index++) {
    turned[(index % columns) * rows + Math.floor(index / columns)] = data[index]!;
  }
  return { dims: [columns, rows], data: turned };
}

/** The thin ResNet50's tensors under the tutorial's names and in its layout. */
export function readThinWeights(folder: string): Map<string, StoredTensor> {
  const found = new Map<string, StoredTensor>();
  for (const [name, tensor] of readSafetensors(folder, 'resnet50-thin.safetensors')) {
    const wanted = tutorialName(name);
    if (wanted) found.set(wanted, wanted === 'fc_0.w_0' ? transpose(tensor) : tensor);
  }
  return found;
}
