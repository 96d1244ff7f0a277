import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import type { AddonSoak } from '../../scripts/soak/addon.ts';
import { runProcess } from '../cli/command.ts';
import { temporaryFolder } from './fixture.ts';

const program = fileURLToPath(new URL('../../scripts/soak/addon.ts', import.meta.url));
const linux = process.platform === 'linux';

// A short share of `npx tsx --expose-gc scripts/soak/addon.ts`; where a session's memory stays, that is megabytes for each.
test.skipIf(!linux)('steps and sessions leave nothing behind', { timeout: 240_000 }, async () => {
  const out = join(temporaryFolder(), 'soak.json');
  const args = ['--steps', '400', '--sessions', '40', '--out', out];
  const command = [process.execPath, '--expose-gc', '--import', import.meta.resolve('tsx'), program, ...args];
  expect(await runProcess(temporaryFolder(), command)).toMatchObject({ code: 0, stderr: '' });
  const { steps, sessions } = JSON.parse(await readFile(out, 'utf8')) as AddonSoak;
  for (const { held } of [steps, sessions]) {
    const [first, last] = [held[0], held.at(-1)];
    // Node may start the four threads of its own pool meanwhile.
    for (const count of ['files', 'threads', 'resources'] as const) {
      expect(Number(last?.[count]) - Number(first?.[count])).toBeLessThanOrEqual(4);
    }
  }
  const memory = sessions.held.map(({ memory }) => memory);
  expect(steps.slope).toBeLessThan(16 * 1024);
  expect(Math.max(...memory) - (memory[0] ?? 0)).toBeLessThan(24 * 2 ** 20);
});
