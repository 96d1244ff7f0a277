import { expect, test } from 'vitest';
import { importSetup } from './working-copy.ts';

const { findSonames, replaceSoname } = await importSetup<{
  findSonames(bytes: Buffer): { offset: number; name: string }[];
  replaceSoname(bytes: Buffer, path: string): string;
}>('soname.mjs');

const library = (...strings: string[]) => Buffer.from(`\x7fELF\0${strings.join('\0')}\0rest`, 'latin1');

test('the SONAME is replaced in place, by one of equal length', () => {
  const bytes = library('libm.so.6', 'libonnxruntime.so.1', 'OrtGetApiBase');
  const { length } = bytes;
  expect(replaceSoname(bytes, 'lib')).toBe('libort_trainer.so.1');
  expect(bytes).toEqual(library('libm.so.6', 'libort_trainer.so.1', 'OrtGetApiBase'));
  expect(bytes).toHaveLength(length);
});

test('a full version stays', () => {
  const bytes = library('libonnxruntime.so.1.24.1');
  expect(replaceSoname(bytes, 'lib')).toBe('libort_trainer.so.1.24.1');
  expect(bytes).toEqual(library('libort_trainer.so.1.24.1'));
});

test('names that only begin alike are no SONAME', () => {
  const bytes = library('libonnxruntime_providers_shared.so', 'libonnxruntime.so.1.tmp', 'libonnxruntime.so.debug');
  expect(findSonames(bytes)).toEqual([]);
});

test.each([
  [0, library('libm.so.6')],
  [2, library('libonnxruntime.so.1', 'libonnxruntime.so.1.24.1')],
])('a library with the name %i times is refused and stays as it is', (times, bytes) => {
  const before = Buffer.from(bytes);
  expect(() => replaceSoname(bytes, '/opt/lib.so')).toThrow(
    `/opt/lib.so: expected the name libonnxruntime.so.N exactly once`,
  );
  expect(() => replaceSoname(bytes, '/opt/lib.so')).toThrow(`found it ${times} times`);
  expect(bytes).toEqual(before);
});
