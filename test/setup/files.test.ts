import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { importSetup, temporaryFolder } from './working-copy.ts';

const { readJson, removeLeftovers, replaceFolder, sha256File, sha256Tree } = await importSetup<{
  readJson(path: string): unknown;
  removeLeftovers(folder: string): void;
  replaceFolder(finished: string, path: string): void;
  sha256File(path: string): string;
  sha256Tree(folder: string, names: string[]): string;
}>('files.mjs');
const { acquireLock, findLivingOwner } = await importSetup<{
  acquireLock(path: string, onWait: (pid: string) => void): Promise<{ setChild(pid?: number): void; release(): void }>;
  findLivingOwner(owners: string): string | undefined;
}>('lock.mjs');

/** The number of a process that has ended. */
const deadProcess = () => spawnSync(process.execPath, ['--version']).pid;

describe('files', () => {
  test('SHA-256 of a file longer than one read', () => {
    const file = join(temporaryFolder(), 'file');
    const bytes = Buffer.alloc((1 << 20) + 3, 'abc');
    writeFileSync(file, bytes);
    expect(sha256File(file)).toBe(createHash('sha256').update(bytes).digest('hex'));
  });

  test('the hash of a tree changes with content, name and place, not with missing names', () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'src'));
    writeFileSync(join(folder, 'src/a.rs'), 'a');
    const before = sha256Tree(folder, ['Cargo.toml', 'src']);
    expect(sha256Tree(folder, ['src', 'build.rs'])).toBe(before);
    writeFileSync(join(folder, 'src/a.rs'), 'b');
    const changed = sha256Tree(folder, ['src']);
    writeFileSync(join(folder, 'src/a.rs'), 'a');
    writeFileSync(join(folder, 'src/b.rs'), '');
    expect(new Set([before, changed, sha256Tree(folder, ['src'])]).size).toBe(3);
  });

  test('a stamp that was cut off reads as none', () => {
    const file = join(temporaryFolder(), 'stamp.json');
    expect(readJson(file)).toBeUndefined();
    writeFileSync(file, '{"sources": "ab');
    expect(readJson(file)).toBeUndefined();
    writeFileSync(file, '{"sources": "ab"}');
    expect(readJson(file)).toEqual({ sources: 'ab' });
  });

  test('a folder takes the place of an older one whole', () => {
    const folder = temporaryFolder();
    for (const name of ['old', 'new']) mkdirSync(join(folder, name));
    writeFileSync(join(folder, 'old/old-only'), '');
    writeFileSync(join(folder, 'new/new-only'), '');
    replaceFolder(join(folder, 'new'), join(folder, 'old'));
    expect(readdirSync(folder)).toEqual(['old']);
    expect(readdirSync(join(folder, 'old'))).toEqual(['new-only']);
  });

  test("a killed setup's leftovers go, a living one's stay", () => {
    const folder = temporaryFolder();
    const names = [`linux-x86_64.tmp-${deadProcess()}`, `linux-x86_64.tmp-${process.pid}`, 'linux-x86_64'];
    for (const name of names) mkdirSync(join(folder, name));
    removeLeftovers(folder);
    expect(readdirSync(folder).sort()).toEqual([names[2], names[1]]);
  });
});

describe('lock', () => {
  const never = () => expect.unreachable('nobody holds the lock');

  test('the second waits until the first has released it', async () => {
    const path = join(temporaryFolder(), 'runtime/.lock');
    const first = await acquireLock(path, never);
    const waitedFor: string[] = [];
    let taken = false;
    const second = acquireLock(path, (pid) => waitedFor.push(pid)).then((lock) => {
      taken = true;
      return lock;
    });
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(taken).toBe(false);
    expect(waitedFor).toEqual([`${process.pid}`]);
    first.release();
    (await second).release();
    expect(existsSync(path)).toBe(false);
  });

  test("a dead owner's lock is taken over, unless its command is still running", async () => {
    const path = join(temporaryFolder(), '.lock');
    const lock = await acquireLock(path, never);
    lock.setChild(process.ppid);
    const [mine, command] = readFileSync(join(path, 'owners'), 'utf8').split('\n');
    const dead = `${deadProcess()} 1`;
    expect(findLivingOwner(`${dead}\n${command}\n`)).toBe(`${process.ppid}`);
    expect(findLivingOwner(`${mine}\n`)).toBe(`${process.pid}`);
    writeFileSync(join(path, 'owners'), `${dead}\n`);
    (await acquireLock(path, never)).release();
  });

  test.skipIf(process.platform !== 'linux')('a process number used again by another program is no owner', () => {
    expect(findLivingOwner(`${process.pid} 1\n`)).toBeUndefined();
  });
});
