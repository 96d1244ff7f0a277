/** A machine as its native libraries see it; `libc` on Linux. */
export interface Machine {
  readonly platform: string;
  readonly arch: string;
  readonly libc?: 'glibc' | 'musl';
}
export function thisMachine(): Machine;
/** `problem`, then `Possible solutions:` with a line for each. */
export function withSolutions(problem: string, solutions: readonly string[]): string;
/** Why a machine cannot train, with what to do; `undefined` where it can. */
export function platformProblem(machine: Machine): string | undefined;
/** What to do about a library that the dynamic linker refuses for this reason. */
export function loadSolutions(reason: string): string[];
/** What to do where a command found no network; '' where its output speaks of something else. */
export function networkHint(output: string, proxy: string, home: string): string;
