import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { OrtuneError } from '../../src/errors.ts';
import { outputError } from '../../src/output-error.ts';
import { partialOf, writeFiles } from '../../src/write-files.ts';
import { Disk, describeWithDisks } from '../mounts.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ortune-files-'));
});
afterEach(() => rm(folder, { recursive: true }));

const text = (value: string) => Buffer.from(value);

describeWithDisks('a full disk', () => {
  it('leaves all older files as they were, and nothing beside them', async () => {
    using disk = new Disk(1_000_000);
    const [model, record] = [join(disk.path, 'model.onnx'), join(disk.path, 'model.json')];
    await writeFiles(disk.path, { [model]: text('older'), [record]: text('{}') });
    // The first fits: without the second it would be a model with the record of another.
    const failing = writeFiles(disk.path, { [model]: new Uint8Array(600_000), [record]: new Uint8Array(600_000) });
    await expect(failing).rejects.toMatchObject({
      code: 'OUTPUT',
      message: expect.stringMatching(
        /model\.json cannot be written: ENOSPC: .* The disk is full: make room on it, or choose another place\.$/,
      ),
    });
    expect(await readdir(disk.path)).toEqual(['model.json', 'model.onnx']);
    expect(await readFile(model, 'utf8')).toBe('older');
  });
});

describeWithDisks('a read-only disk', () => {
  it('is named, with what to do', async () => {
    using disk = new Disk(1_000_000);
    disk.writable = false;
    for (const file of ['a.json', 'deep/a.json']) {
      const path = join(disk.path, file);
      await expect(writeFiles(join(path, '..'), { [path]: text('a') })).rejects.toMatchObject({
        code: 'OUTPUT',
        message: expect.stringMatching(/^\S+ cannot be written: EROFS: .* The file system is read-only/),
      });
    }
    expect(await readdir(disk.path)).toEqual([]);
  });
});

describe('files', () => {
  it('of a size that the system does not let be are refused, with the older ones intact', async () => {
    const path = join(folder, 'a.bin');
    await writeFile(path, 'older');
    const module = JSON.stringify(new URL('../../src/write-files.ts', import.meta.url).href);
    const program = `
      const { writeFiles } = await import(${module});
      const error = await writeFiles(${JSON.stringify(folder)}, { [${JSON.stringify(path)}]: new Uint8Array(100_000) }).catch((error) => error);
      console.log(error.code + ' ' + error.message);`;
    const node = [process.execPath, '--import', import.meta.resolve('tsx'), '--input-type=module', '--eval', program];
    // 512 or 1024 bytes each, as the shell has it.
    const { stdout } = spawnSync('sh', ['-c', 'ulimit -f 50; exec "$@"', 'sh', ...node], { encoding: 'utf8' });
    expect(stdout).toMatch(/^OUTPUT \S+a\.bin cannot be written: EFBIG: .* lets no file grow so large/);
    expect(await readdir(folder)).toEqual(['a.bin']);
    expect(await readFile(path, 'utf8')).toBe('older');
  });

  it('that a killed process left half are cleared, those of a living one are not', async () => {
    const path = join(folder, 'a.bin');
    const living = `${path}.partial-${process.ppid}-x`;
    for (const file of [`${path}.partial-${2 ** 22 + 1}-x`, living, `${folder}/b.bin.partial-${2 ** 22 + 1}-x`]) {
      await writeFile(file, 'half');
    }
    await writeFiles(folder, { [path]: text('a') });
    expect((await readdir(folder)).sort()).toEqual([
      'a.bin',
      `a.bin.partial-${process.ppid}-x`,
      `b.bin.partial-${2 ** 22 + 1}-x`,
    ]);
    expect(partialOf(path)).toMatch(new RegExp(`^${path}\\.partial-${process.pid}-`));
  });

  it('of two writers at once are each whole', async () => {
    const path = join(folder, 'a.bin');
    const contents = Array.from({ length: 8 }, (_, index) => new Uint8Array(200_000).fill(index));
    await Promise.all(contents.map((bytes) => writeFiles(folder, { [path]: bytes })));
    expect(new Set(await readFile(path)).size).toBe(1);
    expect(await readdir(folder)).toEqual(['a.bin']);
  });
});

it('a quota that is used up is told as what it is, and no other error is touched', () => {
  const quota = Object.assign(new Error('EDQUOT: disk quota exceeded, write'), { code: 'EDQUOT', syscall: 'write' });
  expect(outputError('--out x', quota, 'Older results are as they were.')).toMatchObject({
    code: 'OUTPUT',
    message:
      '--out x cannot be written: EDQUOT: disk quota exceeded, write. The quota of the disk is used up: make room in it, or choose another place. Older results are as they were.',
  });
  for (const other of [new TypeError('a defect'), new OrtuneError('OPTION', 'wrong')]) {
    expect(outputError('x', other)).toBe(other);
  }
});
