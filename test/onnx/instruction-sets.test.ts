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
    timeout: 240_000,
  });

const LEVELS = ['SSE4.1', 'AVX', 'AVX2', 'AVX-512', 'AVX-512 with bfloat16', 'AMX'];
const own = LEVELS.indexOf(Runtime.load().kernels?.instructionSet ?? '');
const older = (
  [
    ['SSE41', 'SSE4.1', 'layers train as stock ones do: basic blocks', 6],
    ['AVX', 'AVX', 'layers train as stock ones do: basic blocks', 6],
    ['AVX2', 'AVX2', '(layers train as stock ones do:|maps) basic blocks', 11],
    ['AVX512_CORE', 'AVX-512', '(layers train as stock ones do:|maps) basic blocks', 11],
  ] as const
).filter(([, instructionSet]) => LEVELS.indexOf(instructionSet) < own);

// oneDNN reads the cap once in a process: each has one of its own.
describe.skipIf(Runtime.load().kernels === undefined)(
  'capped by oneDNN to the instructions of an older processor',
  { timeout: 300_000 },
  () => {
    it.each(older)('%s, native layers train as stock ones do', async (cap, instructionSet, tests, count) => {
      const code = `import(${JSON.stringify(runtime)}).then(({ Runtime }) => console.log(Runtime.load().kernels?.instructionSet))`;
      expect((await run(['--import', 'tsx', '--eval', code], cap)).stdout.trim()).toBe(instructionSet);

      const files = ['test/onnx/native-layers.test.ts', 'test/onnx/bfloat16-layers.test.ts'];
      const { stdout } = await run([vitest, 'run', ...files, '--testNamePattern', tests], cap);
      expect(stdout).toMatch(new RegExp(`Tests {2}${count} passed`));
    });
  },
);
