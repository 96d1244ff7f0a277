import { describe, expect, it } from 'vitest';
import { type CudaArguments, cudaOptions } from '../../src/cli/cuda-flags.ts';

const NONE: CudaArguments = {
  cudaDevice: undefined,
  cudaMemory: undefined,
  cudaSearch: undefined,
  tf32: undefined,
  cudaWorkspace: undefined,
};

describe('the flags of a GPU', () => {
  it('are no options when none is given', () => {
    expect(cudaOptions(NONE)).toEqual({});
  });

  it("are the library's options, with memory in bytes", () => {
    expect(
      cudaOptions({ cudaDevice: 0, cudaMemory: 1.5, cudaSearch: 'heuristic', tf32: false, cudaWorkspace: true }),
    ).toEqual({
      cuda: {
        deviceId: 0,
        memoryLimit: 1_610_612_736,
        convolutionSearch: 'heuristic',
        tf32: false,
        maxWorkspace: true,
      },
    });
  });

  it.each([0, -1, Number.POSITIVE_INFINITY, 1e9])('memory of %d GiB is refused', (cudaMemory) => {
    expect(() => cudaOptions({ ...NONE, cudaMemory })).toThrow(
      `cuda-memory: expected a number of GiB above 0 (and at most 2^23), received ${cudaMemory}`,
    );
  });
});
