import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const FUZZ = fileURLToPath(new URL('fuzz.ts', import.meta.url));

test('twenty thousand damaged files: each is read or refused, with nothing else done', async () => {
  const arguments_ = ['--import', 'tsx', FUZZ, '--inputs', '20000', '--seed', '1'];
  const { stdout } = await promisify(execFile)(process.execPath, arguments_).catch((error) => error);
  expect(stdout).toMatch(/\n2\d{4} inputs, 0 findings\n$/);
}, 300_000);
