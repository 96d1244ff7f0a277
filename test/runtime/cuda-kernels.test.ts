import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { locateCudaProvider, readCudaKernels } from '../../src/runtime/cuda-kernels.ts';
import { shared } from '../shared.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ortune-kernels-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** As GCC writes it. */
function symbol(kernel: string): string {
  const name = `kCudaExecutionProvider_${kernel}`;
  return `_ZN11onnxruntime4cuda21BuildKernelCreateInfoINS0_${name.length}${name}EEENS_16KernelCreateInfoEv\0`;
}

async function read(content: string | Buffer): Promise<Set<string>> {
  const file = join(folder, 'library.so');
  await writeFile(file, content);
  return readCudaKernels(file);
}

const CONV = 'Conv_kOnnxDomain_ver11_21_float';
const GATHER = 'Gather_kOnnxDomain_ver13';
/** With its prefix 100 characters and more: a length of three digits. */
const ADAM = 'AdamOptimizer_kMSDomain_ver1_BFloat16_int64_t_float_BFloat16_BFloat16_BFloat16_BFloat16';

describe('the kernels of a CUDA provider', () => {
  it('are read from its symbols, each once and to its end', async () => {
    const other = '\x7fELF\0kCudaExecutionProvider\0kCudaExecutionProvider_\0' + '28kCudaExecutionProvider_Other\0';
    const text = other + symbol(CONV) + symbol(GATHER) + symbol(CONV) + symbol(ADAM);
    expect(await read(text)).toEqual(new Set([CONV, GATHER, ADAM]));
  });

  it('are found wherever a chunk of the file ends', async () => {
    const text = symbol(ADAM);
    for (let cut = 0; cut <= text.length; cut += 3) {
      const bytes = Buffer.alloc(2 ** 20 + 600);
      bytes.write(text, 2 ** 20 - cut, 'latin1');
      expect(await read(bytes), `cut after ${cut}`).toEqual(new Set([ADAM]));
    }
  });

  it('are missed, and where, in a file without them or none at all', async () => {
    await expect(read('\x7fELF nothing here')).rejects.toThrow(/library\.so: expected the names of CUDA kernels/);
    const file = join(folder, 'no-such-file.so');
    await expect(readCudaKernels(file)).rejects.toMatchObject({
      code: 'CUDA_KERNELS',
      message: `cannot read the CUDA provider's library ${file}`,
    });
  });

  it('stand in the library beside that of a GPU build', async () => {
    const file = join(folder, 'libonnxruntime_providers_cuda.so');
    const library = { libraryPath: join(folder, 'libort_trainer.so.1'), variant: 'linux-x86_64-gpu' };
    await writeFile(file, symbol(CONV));
    expect(locateCudaProvider(library)).toBe(file);
    await rm(file);
    expect(() => locateCudaProvider({ ...library, variant: 'linux-x86_64' })).toThrow(
      /in use \(linux-x86_64\), but there is no .*providers_cuda\.so\. npx ortune setup --cuda fetches the GPU build/,
    );
  });

  const provider = fileURLToPath(
    new URL('../../native/runtime/linux-x86_64-gpu/libonnxruntime_providers_cuda.so', import.meta.url),
  );
  it.skipIf(!existsSync(provider) || !shared)('are those listed for 1.24.1 (needs the GPU library)', async () => {
    const list = readFileSync(join(shared as string, 'design/reference-graphs/cuda-kernels-1.24.1.txt'), 'utf8');
    expect(await readCudaKernels(provider)).toEqual(new Set(list.trim().split('\n')));
  });
});
