import { once } from 'node:events';
import { copyFile, mkdir, readdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openWorkshop, type Workshop } from '../training/workshop.ts';
import { runCommand } from './command.ts';

let workshop: Workshop;
const COMMON = ['--data', 'data', '--threads', '1', '--device', 'cpu'];
const run = (command: 'pretrain' | 'finetune', ...args: string[]) =>
  runCommand(workshop.folder, command, [...COMMON, ...args]);

beforeAll(async () => {
  workshop = await openWorkshop();
  await mkdir(workshop.path('models'));
  await copyFile(workshop.graph, workshop.path('models/graph.onnx'));
  await run('pretrain', '--weights', 'none', '--passes', '1');
});
afterAll(() => workshop.remove());

describe('a run', () => {
  it('is told in JSON, recorded for TensorBoard and shown on a page', async () => {
    const pages: Promise<string>[] = [];
    const { code, stdout, stderr } = await runCommand(
      workshop.folder,
      'finetune',
      [...COMMON, '--passes', '2', '--batch-size', '6', '--json', '--tensorboard', 'logs', '--dashboard', '0'],
      {
        watch: (child) =>
          child.stderr?.on('data', (text: Buffer) => {
            const [url] = /http:\S+/.exec(text.toString()) ?? [];
            if (url) pages.push(fetch(url).then((response) => response.text()));
          }),
      },
    );
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: expect.stringMatching(/^Dashboard: http:\/\/127\.0\.0\.1:\d+\/?\n$/),
    });
    expect(await pages[0]).toContain('<title>');
    const events = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(events[0]).toMatchObject({ type: 'dataset', dataset: { train: 24, test: 6 } });
    expect(events.filter(({ type }) => type === 'batch')).toHaveLength(8);
    expect(events.at(-1)).toMatchObject({ type: 'saved', folder: 'models/infer_model' });

    const [stage] = await readdir(workshop.path('logs'));
    expect(stage).toMatch(/^\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d-finetune$/);
    const [file] = await readdir(workshop.path(`logs/${stage}`));
    const record = await readFile(workshop.path(`logs/${stage}/${file}`), 'latin1');
    const count = (tag: string) => record.split(tag).length - 1;
    expect(count('loss/train_pass')).toBe(2);
    // One of each pass, the last included.
    expect(count('parameters/fc_0.w_0')).toBe(2);
    expect(count('pictures/furthest_off')).toBe(1);
  });

  it('is refused a port that is taken, and a folder among the pictures', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    try {
      const { port } = server.address() as AddressInfo;
      const busy = await run('finetune', '--dashboard', String(port));
      expect(busy).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining(String(port)) });
      expect(busy.stderr).not.toMatch(/^\s+at /m);
    } finally {
      server.close();
    }
    const inside = await run('finetune', '--tensorboard', 'data/logs');
    expect(inside).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^Error: --tensorboard data\/logs: expected/),
    });
  });

  it('says nothing but errors with --quiet', async () => {
    expect(await run('finetune', '--passes', '1', '--quiet')).toEqual({ code: 0, stdout: '', stderr: '' });
    const both = await run('finetune', '--quiet', '--json');
    expect(both).toMatchObject({ code: 1, stdout: '', stderr: expect.stringMatching(/^Error: --quiet, --json: /) });
  });
});
