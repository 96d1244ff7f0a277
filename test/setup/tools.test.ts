import { expect, test } from 'vitest';
import { importSetup } from './working-copy.ts';

const { parseVersion } = await importSetup<{ parseVersion(output: string): string | undefined }>('tools.mjs');
const { isAtLeast } = await importSetup<{ isAtLeast(version: string, minimum: string): boolean }>('node-version.mjs');

test.each([
  ['cargo 1.95.0 (f2d3ce0bd 2026-03-21)\n', '1.95.0'],
  ['cargo 1.63.0\n', '1.63.0'],
  ['11.19.1\n', '11.19.1'],
  ['v20.19.0\n', '20.19.0'],
  ['\x1b[1mApache Maven 3.8.7\x1b[m\nMaven home: /usr/share/maven\nJava version: 17.0.15, vendor: Debian\n', '3.8.7'],
  ['no version\n', undefined],
])('the version in %j is %s', (output, version) => {
  expect(parseVersion(output)).toBe(version);
});

test.each([
  ['20.19.0', '20.19', true],
  ['20.9.0', '20.19', false],
  ['22.0.0', '20.19', true],
  ['1.95.0-nightly', '1.88', true],
  ['1.63.0', '1.88', false],
  ['1.88', '1.88.1', false],
])('%s is at least %s: %s', (version, minimum, expected) => {
  expect(isAtLeast(version, minimum)).toBe(expected);
});
