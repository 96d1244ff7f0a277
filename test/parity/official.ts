import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe } from 'vitest';
import { isReady, python, required } from './setup.mjs';

const script = fileURLToPath(new URL('official.py', import.meta.url));

/**
 * Runs a command of `official.py` in the environment.
 * @returns what it printed
 */
export async function official(...args: string[]): Promise<string> {
  if (!isReady()) throw new Error('the parity environment is missing or out of date: run node test/parity/setup.mjs');
  const { stdout } = await promisify(execFile)(python, [script, ...args], { maxBuffer: 1 << 26 });
  return stdout;
}

/** Tests against the official tools: skipped, saying why, where there are none, unless they are demanded. */
export function describeParity(name: string, tests: () => void): void {
  const absent = !isReady() && !required;
  // The summary counts skipped tests but does not say why.
  if (absent) console.warn(`skipped: ${name}; make the Python environment with: node test/parity/setup.mjs`);
  describe.skipIf(absent)(name, tests);
}
