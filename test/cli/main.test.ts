import { readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ORTUNE, runProcess } from './command.ts';

const root = join(import.meta.dirname, '../..');
const ortune = (...words: string[]) => runProcess(tmpdir(), [process.execPath, ORTUNE, ...words]);

test('--help lists the commands, each with a line', async () => {
  const { code, stdout, stderr } = await ortune('--help');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const listed = stdout.match(/^ {2}[a-z-]+(?= +[A-Z])/gm)?.map((name) => name.trim()) ?? [];
  // Every module of a command is in the list, and so are the two that need none.
  const source = (name: string) => readFileSync(join(root, 'src/cli', name), 'utf8');
  const modules = readdirSync(join(root, 'src/cli')).filter((name) => /^export const \w+Command\b/m.test(source(name)));
  const names = modules.map((name) => name.replace('.ts', ''));
  expect(listed.sort()).toEqual([...names, 'setup', 'doctor'].sort());
});

test('--version tells the version', async () => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  expect(await ortune('--version')).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
});

test.each([
  [['predit'], 'received predit. Did you mean predict? See npx ortune --help.'],
  [['quux'], 'received quux. See npx ortune --help.'],
  [['toString'], 'received toString. See'],
  [['--data', 'photos'], 'received --data. See'],
])('%j is refused', async (words, message) => {
  const { code, stdout, stderr } = await ortune(...words);
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(stderr).toContain(`Error: expected a command, ${message}`);
});

test("a command's own words reach it", async () => {
  const help = await ortune('inspect', '--help');
  expect(help.code).toBe(0);
  expect(help.stdout).toMatch(/^npx ortune inspect FILE\|FOLDER\n/);
  const wrong = await ortune('inspect', 'a', '--fliter', 'x');
  expect(wrong.code).toBe(1);
  expect(wrong.stderr).toMatch(/^Error: .*fliter/);
  expect((await ortune('setup', '--help')).stdout).toContain('npx ortune setup [OPTION]');
});
