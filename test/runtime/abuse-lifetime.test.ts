import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { runProcess, untilPrinted } from '../cli/command.ts';
import { temporaryFolder } from './fixture.ts';

const program = fileURLToPath(new URL('./abuse.ts', import.meta.url));
const tsx = import.meta.resolve('tsx');

/** A process of its own, so that a crash is a failed test; what it prints at its end. */
async function run(way: string, signal?: NodeJS.Signals) {
  const command = [process.execPath, '--expose-gc', '--import', tsx, program, way];
  const { code, stdout, stderr } = await runProcess(temporaryFolder(), command, {
    watch: (child) => {
      if (signal) void untilPrinted(child, 'stepping').then(() => child.kill(signal));
    },
  });
  return { code, stdout: stdout.trim(), stderr };
}

const DONE = { code: 0, stderr: '' };

describe('a process outlives', { timeout: 120_000 }, () => {
  test('sessions and states that are disposed during a step, and again', async () => {
    const refused = Array.from({ length: 5 }, () => 'DISPOSED');
    const round = [['done', 'done'], ['done', 'done', 'done', 'done'], refused];
    const { stdout, ...end } = await run('disposed in the middle, twice, in any order');
    expect(end).toEqual(DONE);
    expect(JSON.parse(stdout)).toEqual([round, round]);
  });

  test('sessions that step at once, which changes no bit of what they learn', async () => {
    expect(await run('sessions at once')).toEqual({ ...DONE, stdout: '[true,true,true,true]' });
  });

  // Each of six makes the same three steps.
  test('sessions that are collected while they step, and their steps end', async () => {
    expect(await run('sessions forgotten while they step')).toEqual({ ...DONE, stdout: '{"steps":18,"different":3}' });
  });

  test('memory that is taken away while the arguments are read', async () => {
    expect(await run('memory that a getter takes away')).toEqual({ ...DONE, stdout: '{"taken":true,"same":true}' });
  });

  test('labels that are others once they have been checked', async () => {
    expect(await run('labels that change once they are checked')).toEqual({ ...DONE, stdout: '"LABEL"' });
  });

  test('workers that are terminated during a step, and trains on', async () => {
    expect(await run('workers that end in the middle')).toEqual({ ...DONE, stdout: 'true' });
  });

  test('errors in what was to follow a step', async () => {
    expect(await run('errors in what comes after a step')).toEqual({ ...DONE, stdout: '["first","second"]' });
  });
});

// ONNX Runtime would complain on stderr of what has gone, if not crash.
describe('a process ends in order during a step by', { timeout: 120_000 }, () => {
  test.each(['process.exit without exit listeners', 'process.reallyExit', 'process.exit with workers that step'])(
    '%s',
    async (way) => {
      expect(await run(way)).toEqual({ code: 7, stdout: '', stderr: '' });
    },
  );

  test('process.exit where an exit listener throws', async () => {
    const { code, stderr } = await run('process.exit where an exit listener throws');
    expect(code).toBe(7);
    expect(stderr).toMatch(/Error: on purpose/);
    expect(stderr).not.toMatch(/onnxruntime/);
  });

  test.each(['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGKILL'] as const)('%s', async (signal) => {
    expect(await run('a signal', signal)).toEqual({ code: signal, stdout: 'stepping', stderr: '' });
  });
});
