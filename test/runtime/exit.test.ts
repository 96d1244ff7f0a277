import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const program = fileURLToPath(new URL('./ending.ts', import.meta.url));

async function end(way: string) {
  const child = spawn(process.execPath, ['--import', 'tsx', program, way], { timeout: 50_000 });
  let output = '';
  child.stdout.on('data', (text) => {
    output += text;
  });
  child.stderr.on('data', (text) => {
    output += text;
  });
  return new Promise((resolve) => {
    child.on('close', (status, signal) => resolve({ status, signal, output }));
  });
}

// 200 steps are queued: had the process to wait for all of them, it would run into the time limit.
test.concurrent.each([
  'process.exit during a step',
  'the end of the program with an open session',
  'process.exit during a step of a worker',
  'the end of a worker during a step',
])('%s ends the process in order', { timeout: 60_000 }, async (way) => {
  expect(await end(way)).toEqual({ status: 7, signal: null, output: '' });
});

test('an error during a step ends the process with that error', { timeout: 60_000 }, async () => {
  expect(await end('an error during a step')).toEqual({
    status: 1,
    signal: null,
    output: expect.stringMatching(/Error: on purpose(?!.*onnxruntime)/s),
  });
});
