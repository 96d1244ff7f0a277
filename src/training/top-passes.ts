import { readdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';

/** A pass that was tested, and what it is compared by. */
export interface RankedPass {
  readonly pass: number;
  readonly value: number;
}

/** The best passes, the best first, of two equal ones the earlier: at most `count`, which those that were may hold already. */
export function rank(
  best: readonly RankedPass[],
  one: RankedPass,
  { count, mode }: { readonly count: number; readonly mode: 'min' | 'max' },
): RankedPass[] {
  const sign = mode === 'min' ? 1 : -1;
  return [...best, one]
    .sort((left, right) => sign * (left.value - right.value) || left.pass - right.pass)
    .slice(0, count);
}

const NAME = /^pass-(\d+)$/;
const folderOf = (out: string) => `${resolve(out)}.top`;

/** Folder of a pass's result, beside that of the run's. */
export const topFolder = (out: string, pass: number) => join(folderOf(out), `pass-${String(pass).padStart(4, '0')}`);

/** Removes the results of passes that are not among the best. */
export async function keepTop(out: string, best: readonly RankedPass[]): Promise<void> {
  const passes = new Set(best.map(({ pass }) => pass));
  for (const name of await readdir(folderOf(out)).catch(() => [])) {
    const number = NAME.exec(name)?.[1];
    if (number === undefined || passes.has(Number(number))) continue;
    await rm(join(folderOf(out), name), { recursive: true, force: true });
  }
}
