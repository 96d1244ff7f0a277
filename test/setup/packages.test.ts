import { expect, test } from 'vitest';
import { importSetup } from './working-copy.ts';

interface Entry {
  version?: string;
  optional?: boolean;
  os?: string[];
  cpu?: string[];
  libc?: string[];
}
const { missingPackages } = await importSetup<{
  missingPackages(
    locked: Record<string, Entry>,
    installed: Record<string, Entry>,
    platform: { os: string; cpu: string; libc: () => string },
  ): string[];
}>('packages.mjs');

const missing = (locked: Record<string, Entry>, installed: Record<string, Entry>, libc = 'glibc') =>
  missingPackages(locked, installed, { os: 'linux', cpu: 'x64', libc: () => libc });

test('the same versions are up to date, whatever else is installed', () => {
  const locked = { '': { version: '0.1.0' }, 'node_modules/a': { version: '1.0.0' } };
  expect(
    missing(locked, { 'node_modules/a': { version: '1.0.0' }, 'node_modules/mine': { version: '3.0.0' } }),
  ).toEqual([]);
});

test('another version or none is missing', () => {
  const locked = { 'node_modules/a': { version: '1.0.0' }, 'node_modules/b': { version: '2.0.0' } };
  expect(missing(locked, { 'node_modules/a': { version: '1.0.1' } })).toEqual(['node_modules/a', 'node_modules/b']);
});

test('an optional package is missing only on its own platform', () => {
  const entry = { version: '1.0.0', optional: true };
  const locked = {
    'node_modules/x-linux-x64': { ...entry, os: ['linux'], cpu: ['x64'], libc: ['glibc'] },
    'node_modules/x-linux-x64-musl': { ...entry, os: ['linux'], cpu: ['x64'], libc: ['musl'] },
    'node_modules/x-linux-arm64': { ...entry, os: ['linux'], cpu: ['arm64'] },
    'node_modules/x-darwin': { ...entry, os: ['darwin'] },
    'node_modules/x-wasm32': { ...entry, cpu: ['wasm32'] },
    'node_modules/needed-by-x-wasm32': entry,
  };
  expect(missing(locked, {})).toEqual(['node_modules/x-linux-x64']);
  expect(missing(locked, {}, 'musl')).toEqual(['node_modules/x-linux-x64-musl']);
});
