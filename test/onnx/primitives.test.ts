import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { Runtime } from '../../src/runtime/index.ts';

const script = fileURLToPath(new URL('primitives.ts', import.meta.url));

/** How many primitives oneDNN was asked for in each step. */
async function created(sizes: readonly number[]): Promise<number[]> {
  const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', script, ...sizes.map(String)], {
    env: { ...process.env, ONEDNN_VERBOSE: 'profile_create' },
    timeout: 60_000,
  });
  const steps = stdout.split(/^batch of \d+\n/m).slice(1);
  return steps.map((lines) => lines.split('\n').filter((line) => /primitive,create/.test(line)).length);
}

it.skipIf(Runtime.load().kernels === undefined)(
  "a smaller last batch makes its kernels once, and leaves the others' in place",
  async () => {
    const [whole, rest, ...later] = await created([6, 4, 6, 6, 4, 6]);
    expect(whole).toBeGreaterThan(10);
    expect(rest).toBeGreaterThan(10);
    expect(later).toEqual([0, 0, 0, 0]);
  },
);
