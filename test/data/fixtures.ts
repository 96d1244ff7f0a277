import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import sharp, { type Sharp } from 'sharp';
import { onTestFinished } from 'vitest';
import { matFile } from './mat-bytes.ts';

/** A new folder with the given files, gone after the test. */
export async function folderOf(files: Record<string, string | Uint8Array>): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'ortune-data-'));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  for (const [name, content] of Object.entries(files)) {
    const path = join(root, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, content);
  }
  return root;
}

/** Files of one byte under the given names: enough where nothing is decoded. */
export function named(...names: string[]): Record<string, string> {
  return Object.fromEntries(names.map((name) => [name, '.']));
}

/** Flowers-102's layout in small: the labels count from 1, the sets hold picture numbers from 1. */
export function flowers(
  labels: readonly number[],
  sets: { trnid: readonly number[]; valid: readonly number[]; tstid: readonly number[] },
): Record<string, string | Uint8Array> {
  return {
    ...named(...labels.map((_, index) => `jpg/image_${String(index + 1).padStart(5, '0')}.jpg`)),
    'imagelabels.mat': matFile([{ name: 'labels', values: labels, storage: 2, arrayClass: 9 }], { compressed: true }),
    'setid.mat': matFile(
      Object.entries(sets).map(([name, values]) => ({ name, values, storage: 4 })),
      { compressed: true },
    ),
  };
}

export async function collect<Value>(all: AsyncIterable<Value>): Promise<Value[]> {
  const found: Value[] = [];
  for await (const one of all) found.push(one);
  return found;
}

/** A sharp image whose pixel at (x, y) is (red, green, blue) as `colour` says. */
export function painted(
  width: number,
  height: number,
  colour: (x: number, y: number) => readonly [number, number, number],
): Sharp {
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) data.set(colour(x, y), (y * width + x) * 3);
  }
  return sharp(data, { raw: { width, height, channels: 3 } });
}
