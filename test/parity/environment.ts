import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe } from 'vitest';
import { type Environment, required } from './setup.mjs';

/**
 * Runs a command of an environment's script in it.
 * @returns what it printed
 */
export async function run({ python, script, isReady }: Environment, args: readonly string[]): Promise<string> {
  if (!isReady()) throw new Error('the parity environment is missing or out of date: run node test/parity/setup.mjs');
  const { stdout } = await promisify(execFile)(python, [script, ...args], { maxBuffer: 1 << 26 });
  return stdout;
}

/** Tests that need an environment: skipped, saying why, where there is none, unless they are demanded. */
export function describeWith({ isReady }: Environment, name: string, tests: () => void): void {
  const absent = !isReady() && !required;
  // The summary counts skipped tests but does not say why.
  if (absent) console.warn(`skipped: ${name}; make the Python environment with: node test/parity/setup.mjs`);
  describe.skipIf(absent)(name, tests);
}
