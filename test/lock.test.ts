import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Holder, lock } from '../src/lock.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ortune-lock-'));
});
afterEach(() => rm(folder, { recursive: true }));

const file = () => join(folder, 'lock');
const busy = (holder: Holder | undefined) => new Error(`busy: ${holder?.pid ?? 'nobody'}`);
/** No process has such a number on Linux. */
const DEAD = 2 ** 22 + 1;
const stale = (id: string) => JSON.stringify({ pid: DEAD, since: 'long ago', id });

describe('a lock', () => {
  it('is of one, and free again when that gives it up', async () => {
    const release = await lock(file(), busy);
    await expect(lock(file(), busy)).rejects.toThrow(`busy: ${process.pid}`);
    expect(await readdir(folder)).toEqual(['lock']);
    await release();
    expect(await readdir(folder)).toEqual([]);
    await (await lock(file(), busy))();
  });

  it.each([
    ['of a process that has ended', stale('a')],
    [
      'of an earlier process with the number of this one',
      JSON.stringify({ ...JSON.parse(stale('a')), pid: process.pid, begun: '1' }),
    ],
    ['without contents', ''],
    ['that is something else', '{"pid":1,"id":"../../etc"}'],
  ])("%s is nobody's", async (_, contents) => {
    await writeFile(file(), contents);
    const release = await lock(file(), busy);
    expect(JSON.parse(await readFile(file(), 'utf8'))).toMatchObject({ pid: process.pid });
    expect(await readdir(folder)).toEqual(['lock']);
    await release();
  });

  it('of a process that has ended goes to one of many that want it at once', async () => {
    for (let round = 0; round < 40; round++) {
      await writeFile(file(), round % 2 === 0 ? stale(`round-${round}`) : '');
      const all = await Promise.allSettled(Array.from({ length: 12 }, () => lock(file(), busy)));
      const won = all.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
      expect(won).toHaveLength(1);
      expect(await readdir(folder)).toEqual(['lock']);
      await won[0]!();
    }
  });

  it('whose successor was killed at it is taken all the same, with nothing left', async () => {
    await writeFile(file(), stale('a'));
    await writeFile(`${file()}.after-a`, stale('b'));
    await writeFile(`${file()}.after-z`, stale('c'));
    await writeFile(`${file()}.new-${DEAD}-x`, 'half');
    await (await lock(file(), busy))();
    expect(await readdir(folder)).toEqual([]);
  });

  it('of a killed process goes to one of several processes', async () => {
    const module = JSON.stringify(new URL('../src/lock.ts', import.meta.url).href);
    const program = `
      const { lock } = await import(${module});
      process.stdout.write('ready\\n');
      process.stdin.once('data', async () => {
        await lock(${JSON.stringify(file())}, () => new Error('busy')).then(
          () => process.stdout.write('got it\\n'),
          (error) => process.stdout.write(error.message + '\\n'),
        );
        process.stdin.once('data', () => process.exit());
      });`;
    const children = Array.from({ length: 4 }, () => {
      const child = spawn(process.execPath, [
        '--import',
        import.meta.resolve('tsx'),
        '--input-type=module',
        '--eval',
        program,
      ]);
      let text = '';
      child.stdout.setEncoding('utf8').on('data', (part) => {
        text += part;
      });
      const says = async (pattern: RegExp) => {
        while (!pattern.test(text)) await once(child.stdout, 'data');
        return text;
      };
      return { child, says };
    });
    await Promise.all(children.map(({ says }) => says(/ready/)));
    await writeFile(file(), stale('a'));
    for (const { child } of children) child.stdin.write('go\n');
    const answers = await Promise.all(children.map(({ says }) => says(/ready\n.+\n/)));
    expect(answers.filter((text) => text.includes('got it'))).toHaveLength(1);
    for (const { child } of children) {
      child.stdin.write('end\n');
      await once(child, 'exit');
    }
    // None gave it up: the next takes it from whoever had it.
    await (await lock(file(), busy))();
  });
});
