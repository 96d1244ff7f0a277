import { describe, expect, it } from 'vitest';
import { type CudaOptions, toNativeCuda, toNativeOptions } from '../../src/runtime/options.ts';
import { checkStageOptions, PRETRAIN_DEFAULTS } from '../../src/training/options.ts';

// Names and values: "CUDA Execution Provider", configuration options, onnxruntime.ai.
describe('CUDA options', () => {
  it("reach ONNX Runtime under its own names, and one's own come last", () => {
    const cuda: CudaOptions = {
      deviceId: 1,
      memoryLimit: 2 ** 31,
      convolutionSearch: 'heuristic',
      tf32: false,
      maxWorkspace: true,
      providerOptions: { arena_extend_strategy: 'kSameAsRequested' },
    };
    expect(toNativeOptions({ intraOpThreads: 1, cuda })).toEqual({
      intraOpThreads: 1,
      cuda: {
        device_id: '1',
        gpu_mem_limit: '2147483648',
        cudnn_conv_algo_search: 'HEURISTIC',
        use_tf32: '0',
        cudnn_conv_use_max_workspace: '1',
        arena_extend_strategy: 'kSameAsRequested',
      },
    });
  });

  it('name the GPU in any case, or the provider would not look for one', () => {
    expect(toNativeCuda({})).toEqual({ device_id: '0' });
    expect(toNativeOptions({})).toEqual({});
  });

  const invalid: [CudaOptions, string, string][] = [
    [{ deviceId: -1 }, 'deviceId', 'a whole number from 0 up'],
    [{ deviceId: 0.5 }, 'deviceId', 'a whole number from 0 up'],
    [{ memoryLimit: 0 }, 'memoryLimit', 'a whole number of bytes from 1 up'],
    [{ convolutionSearch: 'fast' as 'default' }, 'convolutionSearch', 'one of exhaustive, heuristic, default'],
    [{ tf32: 1 as unknown as boolean }, 'tf32', 'true or false'],
    [{ maxWorkspace: '0' as unknown as boolean }, 'maxWorkspace', 'true or false'],
  ];
  it.each(invalid)('%j is refused', (options, name, expected) => {
    const received = Object.values(options)[0];
    expect(() => toNativeCuda(options)).toThrow(`cuda.${name} must be ${expected}, but is ${received}`);
  });

  const check = (device: 'auto' | 'cpu' | 'cuda', cuda: CudaOptions) => () =>
    checkStageOptions('finetune', { ...PRETRAIN_DEFAULTS, device, cuda });

  it('of a stage are checked by the names of their flags', () => {
    expect(check('cuda', { deviceId: -1 })).toThrow('cuda-device: expected a whole number from 0 up, received -1');
    expect(check('auto', { deviceId: 1, tf32: false })).not.toThrow();
  });

  it('of a stage on the CPU are refused', () => {
    expect(check('cpu', { deviceId: 0, tf32: true })).toThrow(
      'cuda-device, tf32: expected a GPU to set it for: --device cuda or auto, received cpu',
    );
    expect(check('cpu', {})).not.toThrow();
  });
});
