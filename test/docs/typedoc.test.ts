// The public face is documented without gaps: every name that a signature needs is exported and told of.
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runProcess } from '../cli/command.ts';
import { root } from './markdown.ts';

test('typedoc has nothing to say', { timeout: 120_000 }, async () => {
  const typedoc = join(root, 'node_modules/typedoc/bin/typedoc');
  const { code, stdout, stderr } = await runProcess(root, [process.execPath, typedoc, '--emit', 'none'], {
    env: { NO_COLOR: '1' },
  });
  expect({ code, warnings: `${stdout}${stderr}`.split('\n').filter((line) => /warning|error/.test(line)) }).toEqual({
    code: 0,
    warnings: [],
  });
});
