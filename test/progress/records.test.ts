import { mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Progress } from '../../src/progress/index.ts';
import { newestRecord, writeRecord } from '../../src/progress/records.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ortune-records-'));
});
afterEach(() => rm(folder, { recursive: true }));

const write = (number: number) =>
  writeRecord(folder, number, {
    checkpoint: (path) => writeFile(path, new Uint8Array(5000).fill(number)),
    'state.json': Buffer.from(JSON.stringify({ number })),
  });

const flip = async (file: string) => {
  const bytes = await readFile(file);
  bytes[bytes.length >> 1]! ^= 1;
  await writeFile(file, bytes);
};

describe('the newest record', () => {
  it.each<[string, (file: (name: string) => string) => Promise<void>, RegExp]>([
    ['cut short', (file) => truncate(file('checkpoint'), 4096), /^checkpoint has 4096 bytes, expected 5000 bytes$/],
    ['of a changed bit', (file) => flip(file('checkpoint')), /^the checksum of checkpoint does not agree$/],
    ['of a changed bit in its state', (file) => flip(file('state.json')), /^the checksum of state\.json/],
    ['that lacks a file', (file) => rm(file('state.json')), /^state\.json has gone/],
    ['with half a manifest', (file) => truncate(file('manifest.json'), 40), /^manifest\.json cannot be read/],
    ['of a changed bit in its manifest', (file) => flip(file('manifest.json')), /./],
    ['without a manifest', (file) => rm(file('manifest.json')), /^manifest\.json cannot be read/],
  ])('%s is passed over for the one before, which is named', async (_, damage, reason) => {
    await write(1);
    await write(2);
    await damage((name) => join(folder, '000002', name));
    const damaged: [string, string][] = [];
    const found = await newestRecord(folder, (path, why) => damaged.push([path, why]));
    expect(found).toEqual({ folder: join(folder, '000001'), number: 1 });
    expect(damaged).toEqual([[join(folder, '000002'), expect.stringMatching(reason)]]);
  });

  it('replaces what is older than the one before, and what a killed run left half', async () => {
    await mkdir(join(folder, '.new'));
    await writeFile(join(folder, '.new', 'other'), 'half');
    await write(1);
    expect((await readdir(join(folder, '000001'))).sort()).toEqual(['checkpoint', 'manifest.json', 'state.json']);
    for (const number of [2, 3]) await write(number);
    expect((await readdir(folder)).sort()).toEqual(['000002', '000003']);
  });

  it('that fails to be written leaves nothing', async () => {
    await write(1);
    const failing = writeRecord(folder, 2, { a: Buffer.from('a'), b: () => Promise.reject(new Error('no')) });
    await expect(failing).rejects.toThrow('no');
    expect(await readdir(folder)).toEqual(['000001']);
  });
});

it('what a run left that was killed while it removed its records goes with the next', async () => {
  const out = join(folder, 'result');
  for (const name of ['.old', '.new']) {
    await mkdir(join(`${out}.progress`, name), { recursive: true });
    await writeFile(join(`${out}.progress`, name, 'checkpoint'), 'half');
  }
  const opened = Progress.open({ out, resume: true, every: 1, fingerprint: {} as never, emit: () => {} });
  await expect(opened).rejects.toMatchObject({ code: 'RESUME_NOTHING' });
  expect(await readdir(folder)).toEqual([]);
});
