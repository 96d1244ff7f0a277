import { createReadStream, existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { OrtuneError } from '../errors.ts';
import { type LocatedLibrary, locateLibrary } from './locate.ts';

const PROVIDER = 'libonnxruntime_providers_cuda.so';
const PREFIX = 'kCudaExecutionProvider_';
/** More than the longest name with its length; what is kept from one chunk to the next. */
const OVERLAP = 512;

/**
 * The CUDA provider's library, which lies beside the training library where that is a GPU build.
 *
 * @param library the one in use by default
 * @throws OrtuneError `CUDA_KERNELS` for a build without it, `SETUP_NEEDED`
 */
export function locateCudaProvider({ libraryPath, variant }: LocatedLibrary = locateLibrary()): string {
  const file = join(dirname(libraryPath), PROVIDER);
  if (existsSync(file)) return file;
  throw new OrtuneError(
    'CUDA_KERNELS',
    `expected the CUDA provider's library beside the training library in use (${variant}), but there is no ${file}. ` +
      `npx ortune setup --cuda fetches the GPU build, on a machine without a GPU too; or give the path of another build's ${PROVIDER} after --cuda.`,
  );
}

/**
 * Reads from the CUDA provider's library which kernels it has: the names of their classes stand among its symbols, each
 * behind its length (Itanium C++ ABI, 5.1: source names), as in `54kCudaExecutionProvider_Conv_kOnnxDomain_ver11_21_float`.
 * The library is not loaded, so that no GPU is needed.
 *
 * @param file `libonnxruntime_providers_cuda.so`
 * @returns names without the provider's prefix, as `parseKernels` takes them
 * @throws OrtuneError `CUDA_KERNELS` when the file cannot be read or holds no such name
 */
export async function readCudaKernels(file: string): Promise<Set<string>> {
  const names = new Set<string>();
  let rest: Buffer = Buffer.alloc(0);
  try {
    for await (const chunk of createReadStream(file, { highWaterMark: 2 ** 20 }) as AsyncIterable<Buffer>) {
      const bytes = Buffer.concat([rest, chunk]);
      collectNames(bytes, names);
      rest = bytes.subarray(-OVERLAP);
    }
  } catch (cause) {
    throw new OrtuneError('CUDA_KERNELS', `cannot read the CUDA provider's library ${file}`, { cause });
  }
  if (names.size === 0) {
    throw new OrtuneError(
      'CUDA_KERNELS',
      `${file}: expected the names of CUDA kernels among its symbols, found none; ` +
        `give the path of ${PROVIDER} itself, from a build that is not stripped`,
    );
  }
  return names;
}

/** A name that the end cuts off comes again, whole, at the start of the next chunk. */
function collectNames(bytes: Buffer, names: Set<string>): void {
  for (let at = bytes.indexOf(PREFIX); at !== -1; at = bytes.indexOf(PREFIX, at + 1)) {
    // A length of up to three digits; cut off by the start it is not, or the name was whole in the chunk before.
    const length = Number(/\d+$/.exec(bytes.toString('latin1', Math.max(0, at - 3), at))?.[0]);
    if (at < 3 || !(length > PREFIX.length) || at + length > bytes.length) continue;
    const name = bytes.toString('latin1', at + PREFIX.length, at + length);
    if (/^\w+_k\w*Domain_ver\d+\w*$/.test(name)) names.add(name);
  }
}
