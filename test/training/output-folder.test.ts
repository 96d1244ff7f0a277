import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkOutputFolder, replaceFolder } from '../../src/training/output-folder.ts';

let folder: string;
const path = (name: string) => join(folder, name);
beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'ortune-output-')));
});
afterEach(() => rm(folder, { recursive: true }));

const entries = async (name = '.') => (await readdir(path(name))).sort();
const put = async (name: string, text: string) => {
  await mkdir(path(name), { recursive: true });
  await writeFile(path(`${name}/run.json`), text);
};
const replace = (text: string) => replaceFolder(path('model'), (staging) => writeFile(join(staging, 'run.json'), text));
const result = () => readFile(path('model/run.json'), 'utf8');

/** The id of a process that has ended. */
async function deadProcess(): Promise<number> {
  const child = spawn(process.execPath, ['--version'], { stdio: 'ignore' });
  await once(child, 'exit');
  return child.pid as number;
}

describe('an exchange', () => {
  it('puts a whole folder in the place of the older one, with nothing of that left', async () => {
    await replaceFolder(path('deep/model'), (staging) => writeFile(join(staging, 'a'), 'first'));
    await replaceFolder(path('deep/model'), (staging) => writeFile(join(staging, 'b'), 'second'));
    expect(await entries('deep')).toEqual(['model']);
    expect(await entries('deep/model')).toEqual(['b']);
  });

  it('keeps the older result in its place until the new one is complete', async () => {
    await put('model', 'older');
    await replaceFolder(path('model'), async (staging) => {
      await writeFile(join(staging, 'run.json'), 'newer');
      expect(await result()).toBe('older');
    });
    expect(await result()).toBe('newer');
  });

  it('that fails leaves the older result and nothing else', async () => {
    await put('model', 'older');
    const failing = replaceFolder(path('model'), async (staging) => {
      await writeFile(join(staging, 'half'), '');
      throw new Error('disk full');
    });
    await expect(failing).rejects.toThrow('disk full');
    expect(await entries()).toEqual(['model']);
    expect(await result()).toBe('older');
  });
});

describe('a system that refuses to write', () => {
  it("is reported with the folder, which a full disk's own message lacks", async () => {
    await put('model', 'older');
    const failing = replaceFolder(path('model'), () => writeFile('/dev/full', 'data'));
    const message = expect.stringMatching(/^--out \S+model cannot be written: ENOSPC.*Older results are as they were/);
    await expect(failing).rejects.toMatchObject({ code: 'OUTPUT', message });
    expect(await entries()).toEqual(['model']);
    expect(await result()).toBe('older');
  });
});

describe('what a killed run left', () => {
  it('is cleared by the next', async () => {
    const pid = await deadProcess();
    await put('model', 'older');
    await put(`.model.new-${pid}`, 'half');
    await put(`.model.old-${pid}`, 'oldest');
    await replace('newer');
    expect(await entries()).toEqual(['model']);
    expect(await result()).toBe('newer');
  });

  it('amid the exchange is put back in its place, for a next one that fails', async () => {
    const pid = await deadProcess();
    await put(`.model.old-${pid}`, 'older');
    await put(`.model.new-${pid}`, 'newer');
    const failing = replaceFolder(path('model'), () => Promise.reject(new Error('disk full')));
    await expect(failing).rejects.toThrow('disk full');
    expect(await entries()).toEqual(['model']);
    expect(await result()).toBe('older');
  });

  it('is left alone when it is of a run that lives, of another folder, or none of ours', async () => {
    const [dead, live] = [await deadProcess(), process.ppid];
    const others = [
      `.model.new-${live}`,
      `.model.old-${live}`,
      `.models.new-${dead}`,
      '.model.new-',
      `.model.bak-${dead}`,
    ];
    for (const name of others) await put(name, 'theirs');
    await replace('ours');
    expect(await entries()).toEqual([...others, 'model'].sort());
  });
});

describe('a place for results', () => {
  const check = (out: string, data = 'data') => checkOutputFolder(path(out), path(data));
  const refused = { code: 'OUTPUT' };

  beforeEach(() => put('data/rose', ''));

  it('may be new, empty, or hold an earlier result', async () => {
    await mkdir(path('empty'));
    await put('earlier', '{}');
    for (const out of ['new', 'deep/new', 'empty', 'earlier', 'database', '..data']) {
      await expect(check(out)).resolves.toBeUndefined();
    }
  });

  it('may not be a file, or hold anything else', async () => {
    await writeFile(path('file'), '');
    await mkdir(path('thesis'));
    await writeFile(path('thesis/chapter-1.tex'), '');
    for (const out of ['file', 'thesis']) await expect(check(out)).rejects.toMatchObject(refused);
  });

  it('must be one that can be written, which is tried without a trace', async () => {
    await writeFile(path('file'), '');
    // Neither lets anyone, not even root, make a folder.
    for (const out of [path('file/model'), '/dev/null/deep/model']) {
      const message = expect.stringMatching(/no folder can be made in \S+ \(ENOTDIR\)/);
      await expect(checkOutputFolder(out, path('data'))).rejects.toMatchObject({ ...refused, message });
    }
    await check('deep/new');
    expect(await entries()).toEqual(['data', 'file']);
  });

  it('may not touch the data, by whatever way', async () => {
    await symlink(path('data'), path('link'));
    await symlink(path('data/rose'), path('deeper'));
    for (const out of ['data', 'data/model', '.', 'link', 'link/model', 'deeper/new/model', 'new/../data']) {
      await expect(check(out)).rejects.toMatchObject(refused);
    }
    await expect(check('data/model', 'link')).rejects.toMatchObject(refused);
    await expect(check('new', 'link')).resolves.toBeUndefined();
  });
});
