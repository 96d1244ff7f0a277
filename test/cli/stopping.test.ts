import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { access, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Random } from '../../src/random.ts';
import { openWorkshop, snapshot, type Workshop } from '../training/workshop.ts';
import { commandLine, runCommand, runProcess, untilPrinted } from './command.ts';

let workshop: Workshop;
/** Stage one's arguments: `one` is there from the start. */
const stageOne = (passes: number, ...more: string[]) => [
  ...['--data', 'data', '--graph', 'graph.onnx', '--weights', 'none', '--threads', '1', '--out', 'one'],
  ...['--passes', String(passes), ...more],
];
const files = async () => (await readdir(workshop.folder)).sort();

beforeAll(async () => {
  workshop = await openWorkshop();
  expect(await runCommand(workshop.folder, 'pretrain', stageOne(1))).toMatchObject({ code: 0 });
});
afterAll(() => workshop.remove());

describe.each([
  { signal: 'SIGINT', code: 130, by: 'Ctrl-C' },
  { signal: 'SIGTERM', code: 143, by: 'SIGTERM' },
] as const)('$signal', ({ signal, code, by }) => {
  it('stops training, leaves the older result as it was and what it takes to go on', async () => {
    const before = await snapshot(workshop.folder);
    const outcome = await runCommand(workshop.folder, 'pretrain', stageOne(1_000_000, '--seed', '1'), {
      watch: (child) => untilPrinted(child, 'Test:3, ').then(() => child.kill(signal)),
    });
    expect(outcome).toMatchObject({
      code,
      stderr: `Error: stopped by ${by}; the same command with --resume goes on from here, older results are as they were\n`,
    });
    expect(outcome.stdout).not.toContain('Saved');
    expect(await files()).toEqual(['data', 'graph.onnx', 'one', 'one.progress']);
    await rm(workshop.path('one.progress'), { recursive: true });
    expect(await snapshot(workshop.folder)).toEqual(before);
  });
});

describe('a process killed while it saves', () => {
  it('leaves the older result, and the next run clears what it left', async () => {
    const before = await snapshot(workshop.path('one'));
    const killed = await runCommand(workshop.folder, 'pretrain', stageOne(1, '--seed', '2', '--save', 'paddle'), {
      watch: killWhenSaving,
    });
    expect(killed.code).toBe('SIGKILL');
    const [abandoned, ...others] = await files();
    expect(abandoned).toMatch(/^\.one\.new-\d+$/);
    expect(others).toEqual(['data', 'graph.onnx', 'one', 'one.progress']);
    expect(await snapshot(workshop.path('one'))).toEqual(before);

    expect(await runCommand(workshop.folder, 'pretrain', stageOne(1, '--seed', '2'))).toMatchObject({ code: 0 });
    expect(await files()).toEqual(['data', 'graph.onnx', 'one']);
    expect(await snapshot(workshop.path('one'))).not.toEqual(before);
  });

  /** Looks for the folder that results are gathered in, and kills at its first sight. */
  function killWhenSaving(child: ChildProcess): void {
    const timer = setInterval(() => {
      if (readdirSync(workshop.folder).some((name) => name.startsWith('.one.new-'))) child.kill('SIGKILL');
    }, 1);
    once(child, 'exit').finally(() => clearInterval(timer));
  }
});

describe('a reader that has seen enough', () => {
  /** The command into `head -n 1`; the exit code is the command's own. */
  const intoHead = (command: 'finetune' | 'predict', args: string[]) =>
    runProcess(workshop.folder, [
      ...['bash', '-c', '"$@" | head -n 1; exit $PIPESTATUS', 'bash'],
      ...commandLine(command, args),
    ]);

  it('does not keep training from its end', async () => {
    const args = ['--data', 'data', '--from', 'one', '--out', 'two', '--passes', '1', '--threads', '1'];
    const { code, stdout, stderr } = await intoHead('finetune', args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^Data: [^\n]*\n$/);
    await access(workshop.path('two/model.onnx'));
  });

  it('ends predictions, which nobody reads any more', async () => {
    // Never come to, or it would be an error.
    await writeFile(workshop.path('broken.png'), 'no picture');
    const { code, stdout, stderr } = await intoHead('predict', ['--model', 'two', 'data', 'broken.png']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^data\/blue\/0\.png: [^\n]*\n$/);
  });
});

describe('a run killed again and again', () => {
  /** Figures and values, without times. */
  const resultOf = async (name: string) => {
    const [model, metrics, steps] = await Promise.all(
      ['model.onnx', 'metrics.json', 'steps.csv'].map((file) => readFile(workshop.path(`${name}/${file}`), 'base64')),
    );
    return { model, metrics, steps };
  };

  it('ends as one that was left alone', async () => {
    const args = (out: string, ...more: string[]) => [
      ...['--data', 'data', '--from', 'one', '--threads', '1', '--passes', '6', '--batch-size', '4', '--out', out],
      ...['--record-every', '0', ...more],
    ];
    expect(await runCommand(workshop.folder, 'finetune', args('left-alone'))).toMatchObject({ code: 0 });
    // Moments by a rule, so that a failure can be looked at again: while it starts, trains, records, tests and saves.
    const random = new Random(7, 'kills');
    let kills = 0;
    for (let attempt = 0; ; attempt++) {
      const began = (await readdir(workshop.folder)).includes('killed.progress');
      const { code, stderr } = await runCommand(
        workshop.folder,
        'finetune',
        args('killed', ...(began ? ['--resume'] : [])),
        {
          watch: (child) => {
            if (attempt >= 5) return;
            untilPrinted(child, attempt % 2 === 0 ? 'Device:' : 'Pass:').then(() =>
              setTimeout(() => child.kill('SIGKILL'), 400 * random.uniform()),
            );
          },
        },
      );
      if (code === 'SIGKILL') kills++;
      // Killed before there was anything to go on from; what lay there is cleared.
      const nothing = stderr.includes('--resume: expected a run to go on with');
      if (code !== 'SIGKILL' && !nothing) expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      if (code === 0) break;
    }
    expect(kills).toBeGreaterThan(1);
    expect(await resultOf('killed')).toEqual(await resultOf('left-alone'));
    expect(await files()).not.toContain('killed.progress');
  });
});
