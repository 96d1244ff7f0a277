import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import { createLimiter, type Dataset, nameOf } from '../data/index.ts';
import { digestFile } from '../digest-file.ts';

/** What a run depends on, as plain data: a run that goes on must find it as it was. */
export type Fingerprint = Readonly<Record<string, unknown>>;

/** Files looked at at a time. */
const LOOKS = 16;

/** Names, labels, sizes and times of a data set's pictures, part by part, in one number. */
export async function digestOfData(dataset: Dataset): Promise<string> {
  const limit = createLimiter(LOOKS);
  const hash = createHash('sha256');
  for (const part of ['train', 'valid', 'test'] as const) {
    const lines = await Promise.all(
      dataset[part].map((sample) =>
        limit(async () => {
          const { size, mtimeMs } = await stat(sample.file);
          return JSON.stringify([part, nameOf(dataset, sample), sample.label, sample.range ?? null, size, mtimeMs]);
        }),
      ),
    );
    for (const line of lines) hash.update(line).update('\n');
  }
  return hash.digest('hex');
}

/** SHA-256 of a file. */
export const digestOfFile = async (path: string): Promise<string> => (await digestFile(path, ['sha256'])).sha256;

/** What differs, each as `passes: 12 before, 20 now`. */
export function differences(before: unknown, now: unknown, path: readonly string[] = []): string[] {
  if (isDeepStrictEqual(before, now)) return [];
  if (isSection(before) && isSection(now)) {
    const names = [...new Set([...Object.keys(before), ...Object.keys(now)])];
    return names.flatMap((name) => differences(own(before, name), own(now, name), [...path, name]));
  }
  return [`${path.join('.')}: ${shown(before)} before, ${shown(now)} now`];
}

/** Not what every object has, as `constructor`. */
const own = (section: Readonly<Record<string, unknown>>, name: string): unknown =>
  Object.hasOwn(section, name) ? section[name] : undefined;

const isSection = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const shown = (value: unknown): string => (value === undefined ? 'nothing' : JSON.stringify(value).slice(0, 80));
