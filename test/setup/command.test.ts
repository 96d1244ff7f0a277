import { describe, expect, test } from 'vitest';
import { importSetup } from './working-copy.ts';

const { runCommand } = await importSetup<{ runCommand(command: string, args: string[]): Promise<string> }>(
  'command.mjs',
);
const run = (code: string) => runCommand(process.execPath, ['--eval', code]);

describe('the reason of a command that fails', () => {
  test('is the last line that it printed', async () => {
    const failing = run('console.log("first"); console.error("last"); process.exitCode = 3');
    await expect(failing).rejects.toMatchObject({ reason: 'last', message: expect.stringContaining('exit code 3') });
  });

  test('is the signal when it crashed, whatever it printed before', async () => {
    const crashing = run('process.stdout.write("all is well\\n", () => process.kill(process.pid, "SIGKILL"))');
    await expect(crashing).rejects.toMatchObject({ reason: 'was ended by SIGKILL' });
  });
});
