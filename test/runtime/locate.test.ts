import { rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { describe, expect, test } from 'vitest';
import { locateKernels, locateLibrary, locateServing, setupNeeded } from '../../src/runtime/locate.ts';
import { failure, temporaryFolder } from './fixture.ts';

function runtimeFolder(current: unknown): string {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'libtrainer.so'), '');
  writeFileSync(join(folder, 'current.json'), typeof current === 'string' ? current : JSON.stringify(current));
  return folder;
}

const fetched = { library: 'libtrainer.so', variant: 'linux-x86_64', version: '1.24.1', source: 'maven' };

test('finds the library that setup fetched', () => {
  const folder = runtimeFolder(fetched);
  const libraryPath = join(folder, 'libtrainer.so');
  expect(locateLibrary(folder, undefined)).toEqual({ libraryPath, variant: 'linux-x86_64' });
  // An empty variable is an unset one.
  expect(locateLibrary(folder, '')).toEqual({ libraryPath, variant: 'linux-x86_64' });
});

test('finds a library of the user, by absolute path', () => {
  const library = join(runtimeFolder(fetched), 'libtrainer.so');
  const folder = runtimeFolder({ library, variant: 'custom', version: '1.24.1', source: '/opt/ort/libonnxruntime.so' });
  const expected = { libraryPath: library, variant: 'custom' };
  expect(locateLibrary(folder, undefined)).toEqual(expected);
  expect(locateLibrary(folder, '/opt/ort/libonnxruntime.so')).toEqual(expected);
  // The same file, said relative to the working folder.
  expect(locateLibrary(folder, relative(process.cwd(), '/opt/ort/libonnxruntime.so'))).toEqual(expected);
});

test.each([
  ['nothing set up', undefined, undefined, /not set up/],
  ['a damaged file', '{', undefined, /cannot read .*current\.json/],
  ['a file without variant', { library: 'libtrainer.so', source: 'maven' }, undefined, /lacks library, variant or/],
  ['a library that is gone', { ...fetched, library: 'gone.so' }, undefined, /gone\.so, which is not there/],
  ['another library wanted', fetched, '/opt/mine.so', /ORTUNE_ORT_LIBRARY is \/opt\/mine\.so, but the library that/],
  ['a third wanted', { ...fetched, source: '/opt/old.so' }, '/opt/mine.so', /but \/opt\/old\.so is set up/],
])('%s: asks for setup', async (_, current, wanted, message) => {
  const folder = current === undefined ? temporaryFolder() : runtimeFolder(current);
  const error = await failure(() => locateLibrary(folder, wanted));
  expect(error).toMatchObject({ code: 'SETUP_NEEDED' });
  expect(error.message).toMatch(message);
  expect(error.message).toContain('npx ortune setup');
});

describe('oneDNN', () => {
  const library = 'libtrainer.so'; // any file
  const kernels = { library, version: '3.11', sha256: '' };

  test('is found where setup has put it, unless it is not wanted', () => {
    const folder = runtimeFolder({ ...fetched, kernels });
    expect(locateKernels(folder, undefined)).toBe(join(folder, library));
    expect(locateKernels(folder, '')).toBe(join(folder, library));
    expect(locateKernels(folder, '1')).toBe(join(folder, library));
    expect(locateKernels(folder, '0')).toBeUndefined();
    rmSync(join(folder, library));
    expect(locateKernels(folder, undefined)).toBeUndefined();
  });

  test.each([
    ['nothing is set up', undefined],
    ['setup knew nothing of it', fetched],
    ['setup says why there is none', { ...fetched, kernels: { absent: 'failed', reason: 'no network' } }],
  ])('is not there where %s', (_, current) => {
    const folder = current === undefined ? temporaryFolder() : runtimeFolder(current);
    expect(locateKernels(folder, undefined)).toBeUndefined();
    if (current !== undefined) expect(locateLibrary(folder, undefined)).toMatchObject({ variant: 'linux-x86_64' });
  });
});

describe('where setup cannot help', () => {
  test('it is not asked for: the platform has no training library', () => {
    const error = setupNeeded('the native addon is not built', { platform: 'linux', arch: 'x64', libc: 'musl' });
    expect(error).toMatchObject({ code: 'SETUP_NEEDED' });
    expect(error.message).toMatch(/not built; there is no training library for musl.*\nPossible solutions:\n/);
  });

  test('a missing onnxruntime-node is asked for, with the commands', async () => {
    const error = await failure(() => locateServing(() => undefined));
    expect(error).toMatchObject({ code: 'SETUP_NEEDED' });
    expect(error.message).toMatch(
      /onnxruntime-node is not installed.*npx ortune setup\n.*npm install --ignore-scripts onnx/s,
    );
    expect(locateServing()).toMatch(/onnxruntime-node.*\.js$/);
  });
});
