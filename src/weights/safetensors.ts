import { byteLength, type StoredType } from './element-types.ts';
import type { FileReader } from './file-reader.ts';
import type { WeightFile } from './types.ts';
import { describe, invalid, isCounts, type StoredTensor, weightFile } from './weight-source.ts';

/** The format's own limit on the header: 100 MB. */
const HEADER_LIMIT = 100_000_000;
const LENGTH_BYTES = 8;

const TYPES: ReadonlyMap<string, StoredType> = new Map([
  ['F32', 'float32'],
  ['F16', 'float16'],
  ['BF16', 'bfloat16'],
  ['F64', 'float64'],
  ['I8', 'int8'],
  ['U8', 'uint8'],
  ['I16', 'int16'],
  ['U16', 'uint16'],
  ['I32', 'int32'],
  ['U32', 'uint32'],
  ['I64', 'int64'],
  ['U64', 'uint64'],
  ['BOOL', 'bool'],
]);

interface Entry {
  readonly name: string;
  readonly type: StoredType;
  readonly dims: readonly number[];
  /** Where the data start and end, counted from the end of the header. */
  readonly begin: number;
  readonly end: number;
}

/** Whether a file's first bytes are those of safetensors: a header length of less than 2^48, then a JSON object. */
export function isSafetensors(head: Uint8Array): boolean {
  return head[6] === 0 && head[7] === 0 && head[LENGTH_BYTES] === 0x7b;
}

/**
 * Opens a `.safetensors` file (https://huggingface.co/docs/safetensors): u64 header length, JSON header, data without
 * gap or overlap.
 * @throws OrtuneError `WEIGHTS_INVALID` or `WEIGHTS_TRUNCATED`
 */
export async function openSafetensors(file: FileReader): Promise<WeightFile> {
  const length = headerLength(await file.read(0, LENGTH_BYTES, 'the header length'));
  if (length > HEADER_LIMIT) {
    throw invalid(`${file.path}: expected a safetensors header of at most ${HEADER_LIMIT} bytes, received ${length}`);
  }
  const header = parseHeader(await file.read(LENGTH_BYTES, length, 'the safetensors header'), file.path);
  const entries = Object.entries(header)
    .filter(([name]) => name !== '__metadata__')
    .map(([name, value]) => parseEntry(name, value, file.path));
  const start = LENGTH_BYTES + length;
  checkLayout(entries, file.size - start, file.path);

  const tensors = entries.map(({ name, type, dims, begin, end }): StoredTensor => {
    return { name, type, dims, bytes: () => file.read(start + begin, end - begin, `the values of '${name}'`) };
  });
  return weightFile({ format: 'safetensors', path: file.path, tensors, close: () => file.close() });
}

function headerLength(bytes: Uint8Array): number {
  return Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
}

function parseHeader(bytes: Uint8Array, path: string): object {
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw invalid(
      `${path}: expected a JSON object as safetensors header, but it does not parse: ${String(error)}`,
      error,
    );
  }
  if (typeof header !== 'object' || header === null || Array.isArray(header)) {
    throw invalid(`${path}: expected a JSON object as safetensors header, received ${describe(header)}`);
  }
  return header;
}

function parseEntry(name: string, value: unknown, path: string): Entry {
  const where = `${path}: tensor '${name}'`;
  const { dtype, shape, data_offsets: offsets } = (value ?? {}) as Record<string, unknown>;
  const type = TYPES.get(typeof dtype === 'string' ? dtype : '');
  if (!type) throw invalid(`${where}: expected dtype ${[...TYPES.keys()].join(', ')}, received ${describe(dtype)}`);
  if (!isCounts(shape)) throw invalid(`${where}: expected a list of numbers as shape, received ${describe(shape)}`);
  const expected = byteLength(type, shape, where);
  if (!isCounts(offsets) || offsets.length !== 2 || offsets[1]! - offsets[0]! !== expected) {
    throw invalid(
      `${where}: expected two data_offsets ${expected} bytes apart for ${type} [${shape.join(', ')}], ` +
        `received ${isCounts(offsets) ? `[${offsets.join(', ')}]` : describe(offsets)}`,
    );
  }
  return { name, type, dims: shape, begin: offsets[0]!, end: offsets[1]! };
}

/** The format wants the data area filled from end to end: a gap could hide bytes, an overlap makes one tensor another. */
function checkLayout(entries: readonly Entry[], size: number, path: string): void {
  let filled = 0;
  for (const { name, begin, end } of entries.toSorted((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin !== filled) {
      const fault = begin < filled ? 'an overlap with the tensor before' : 'a gap';
      throw invalid(`${path}: tensor '${name}': expected its data at offset ${filled}, received ${begin}: ${fault}`);
    }
    filled = end;
  }
  if (filled !== size) {
    const hint = filled > size ? 'The file is cut short: copy or download it again.' : 'The rest belongs to no tensor.';
    throw invalid(`${path}: expected ${filled} bytes of data after the header, received ${size}. ${hint}`);
  }
}
