import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { Runtime } from '../../src/runtime/index.ts';

const vitest = fileURLToPath(new URL('vitest.mjs', import.meta.resolve('vitest/package.json')));
const runtime = import.meta.resolve('../../src/runtime/index.ts');
const run = (args: readonly string[], cap: string) =>
  promisify(execFile)(process.execPath, args, {
    env: { ...process.env, NO_COLOR: '1', ONEDNN_MAX_CPU_ISA: cap },
    timeout: 100_000,
  });

// oneDNN reads the cap once in a process: each has one of its own.
describe.skipIf(Runtime.load().kernels === undefined)(
  'capped by oneDNN to the instructions of an older processor',
  () => {
    it.each([
      ['SSE41', 'SSE4.1'],
      ['AVX', 'AVX'],
    ])('%s, native layers train as stock ones do', async (cap, instructionSet) => {
      const code = `import(${JSON.stringify(runtime)}).then(({ Runtime }) => console.log(Runtime.load().kernels?.instructionSet))`;
      expect((await run(['--import', 'tsx', '--eval', code], cap)).stdout.trim()).toBe(instructionSet);

      const tests = 'native layers train as stock ones do: basic blocks';
      const { stdout } = await run([vitest, 'run', 'test/onnx/native-layers.test.ts', '--testNamePattern', tests], cap);
      expect(stdout).toMatch(/Tests {2}6 passed/);
    });
  },
);
