import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { folderOf } from '../data/fixtures.ts';
import { chunk, deflated, type PngOptions, pngBytes, zeros } from './png-bytes.ts';

const WORKER = fileURLToPath(new URL('memory-worker.ts', import.meta.url));

/** Reasons against a picture, and what the look at it added to the process. */
async function lookAt(bytes: Uint8Array): Promise<{ reasons: string[]; mebibytes: number }> {
  const root = await folderOf({ 'picture.png': bytes });
  const args = ['--import', 'tsx', WORKER, join(root, 'picture.png')];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return JSON.parse(stdout);
}

const grey = (side: number, interlaced: boolean): PngOptions => ({
  width: side,
  height: side,
  depth: 1,
  colour: 0,
  row: [0x55],
  interlaced,
});

describe.runIf(process.platform === 'linux')('memory', () => {
  test('of a picture that declares more than 200 million pixels: next to none', async () => {
    // Interlaced, all of it would have to be in memory: 860 MiB.
    const { reasons, mebibytes } = await lookAt(await pngBytes(grey(30_000, true)));
    expect(reasons).toEqual(['it has 30000 x 30000 pixels, and at most 200 million are read; scale it down']);
    expect(mebibytes).toBeLessThan(100);
  });

  test('of one just below: a few rows at a time, or all of it at the worst', async () => {
    const rows = await lookAt(await pngBytes(grey(14_142, false)));
    expect(rows.reasons).toEqual([]);
    expect(rows.mebibytes).toBeLessThan(150);
    const all = await lookAt(await pngBytes(grey(14_142, true)));
    expect(all.reasons).toEqual([]);
    expect(all.mebibytes).toBeLessThan(400);
  });

  test.each(['zTXt', 'iCCP'])('of a chunk %s that unpacks to 600 MB: it is passed over', async (type) => {
    const packed = Buffer.concat([Buffer.from('c\0\0'), await deflated(zeros(6e8))]);
    const { reasons, mebibytes } = await lookAt(await pngBytes({ chunks: [chunk(type, packed)] }));
    expect(reasons).toEqual([]);
    expect(mebibytes).toBeLessThan(150);
  });
});
