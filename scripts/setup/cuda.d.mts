/** One thing that CUDA needs and this machine lacks, in words. */
export interface CudaGap {
  readonly product: string;
  readonly missing: string;
  readonly remedy: string;
}
/** The `cuda` part of `native/runtime.json`; `driver` is the least version. */
export interface CudaRequirements {
  readonly driver: number;
  readonly products: readonly { readonly name: string; readonly libraries: string[]; readonly remedy: string }[];
}
/** All that the pinned CUDA library would miss here, not only what the linker would stop at; none when all is there. */
export function findCudaGaps(machine?: {
  requirements?: CudaRequirements;
  findMissing?: (names: string[]) => Promise<Record<string, string>>;
  findDriver?: () => { found: string; version?: string } | undefined;
}): Promise<CudaGap[]>;
/** For each library that the linker cannot open, the file that is not found: itself, or one that it needs. */
export function missingLibraries(names: string[]): Promise<Record<string, string>>;
/** One line for each, and one about where the linker looks. */
export function describeGaps(gaps: readonly CudaGap[]): string[];
/** All on one line, without remedies. */
export function listGaps(gaps: readonly CudaGap[]): string;
