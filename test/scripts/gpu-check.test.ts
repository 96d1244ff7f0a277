import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { CheckResult } from '../../scripts/gpu/check.ts';
import { describeMachine } from '../../scripts/gpu/machine.ts';
import { openPictures } from '../../scripts/gpu/pictures.ts';
import { formatEnd, formatGroup } from '../../scripts/gpu/report.ts';
import { runTrialApart } from '../../scripts/gpu/trial-process.ts';
import { Runtime } from '../../src/runtime/index.ts';
import { runProcess } from '../cli/command.ts';
import { folderOf, painted } from '../data/fixtures.ts';

const program = fileURLToPath(new URL('../../scripts/gpu-check.ts', import.meta.url));

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'ortune-gpu-check-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const check = (folder: string, args: string[]) =>
  runProcess(folder, [process.execPath, '--import', import.meta.resolve('tsx'), program, ...args]);

describe('npm run gpu-check', () => {
  test('rehearses on the CPU: every precision on the same batches, every node placed', {
    timeout: 300_000,
  }, async () => {
    const folder = temporaryFolder();
    const small = ['--width', '0.25', '--image-size', '64', '--batch-size', '4', '--steps', '3'];
    const { code, stdout, stderr } = await check(folder, ['--device', 'cpu', ...small, '--json', 'out/found.json']);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(stdout.match(/REHEARSAL/g)).toHaveLength(2);
    const found = JSON.parse(readFileSync(join(folder, 'out/found.json'), 'utf8')) as CheckResult;
    expect(found).toMatchObject({ ok: true, options: { device: 'cpu', steps: 3, width: 0.25, imageSize: 64 } });
    const [group, ...others] = found.groups;
    expect(others).toEqual([]);
    expect(group?.trials.map(({ precision, faults }) => [precision, faults])).toEqual([
      ['fp32', []],
      ['tf32', []],
      ['fp16', []],
    ]);
    for (const { precision, outcome } of group?.trials ?? []) {
      if (!('result' in outcome)) throw new Error(outcome.failure);
      const { losses, nodes, overflows } = outcome.result;
      expect(losses).toHaveLength(3);
      // A guess among 102 classes.
      expect(losses[0]).toBeGreaterThan(Math.log(102) - 1);
      expect(losses[0]).toBeLessThan(Math.log(102) + 1);
      expect(overflows).toBe(0);
      // ResNet50's 53 convolutions but one: at this width the first block's shortcut has the right channels as it is.
      const count = (op: string) => nodes.filter((node) => node.op === op).length;
      expect([count('Conv'), count('ConvGrad')], precision).toEqual([52, 52]);
      expect(nodes.every(({ provider }) => provider === 'CPUExecutionProvider')).toBe(true);
    }
  });

  test.skipIf(Runtime.load().providers.includes('CUDAExecutionProvider'))(
    'says that nothing was checked where there is no GPU, and what is missing',
    async () => {
      const { code, stdout, stderr } = await check(temporaryFolder(), ['--steps', '1']);
      expect(code).toBe(1);
      expect(stdout).toBe('');
      expect(stderr).toMatch(/^Error: Nothing was checked, as there is no GPU to check\..*CPU build/s);
    },
  );

  test.each([
    [['--steps', '0'], '--steps: expected a whole number from 1 up, received 0.'],
    [['--batch-size', '1'], '--batch-size: expected a whole number from 2 up, received 1.'],
    [['--device', 'gpu'], 'Invalid values'],
  ])('%j is refused', async (args, message) => {
    const { code, stderr } = await check(temporaryFolder(), args);
    expect(code).toBe(1);
    expect(stderr).toContain(message);
  });
});

describe('pictures', () => {
  const collect = async (options: Parameters<typeof openPictures>[0]) => {
    const { classes, batches } = await openPictures(options);
    const found = [];
    for await (const { image, label } of batches) found.push({ image: image?.data, label: label?.data });
    return { classes, found };
  };

  test('synthetic ones are the same each time and repeat after four batches', async () => {
    const options = { steps: 6, imageSize: 32, batchSize: 2 };
    const { classes, found } = await collect(options);
    expect(classes).toBe(102);
    expect(found).toHaveLength(6);
    expect((await collect(options)).found).toEqual(found);
    expect(found[4]).toEqual(found[0]);
    expect(new Set(found.slice(0, 4).map(({ image }) => String(image))).size).toBe(4);
  });

  test('real ones go on from pass to pass; there must be a batch of them', async () => {
    const dots = Object.fromEntries(
      await Promise.all(
        ['a/1', 'a/2', 'a/3', 'b/1', 'b/2', 'b/3'].map(async (name, index) => {
          const picture = painted(40, 40, (x, y) => [x * 6, y * 6, index * 40]);
          return [`${name}.png`, new Uint8Array(await picture.png().toBuffer())] as const;
        }),
      ),
    );
    const data = await folderOf(dots);
    const { classes, found } = await collect({ data, steps: 3, imageSize: 32, batchSize: 3 });
    expect(classes).toBe(2);
    expect(found.map(({ label }) => label?.length)).toEqual([3, 3, 3]);
    await expect(openPictures({ data, steps: 1, imageSize: 32, batchSize: 99 })).rejects.toMatchObject({
      code: 'GPU_CHECK_DATA',
      message: expect.stringMatching(/expected 99 training pictures or more, found \d/),
    });
  });
});

test('a trial that cannot run is told, and takes nothing along', async () => {
  const spec = { device: 'cuda', precision: 'fp32', steps: 1, imageSize: 33, batchSize: 2, width: 1 } as const;
  const outcome = await runTrialApart({ ...spec, profile: false });
  expect(outcome).toEqual({ failure: 'image-size: expected a multiple of 32 from 32 up, received 33' });
});

test('the driver tells the GPUs where nvidia-smi does not', () => {
  const proc = temporaryFolder();
  const write = (name: string, text: string) => {
    mkdirSync(dirname(join(proc, name)), { recursive: true });
    writeFileSync(join(proc, name), text);
  };
  write('version', 'NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.65.06  Sun Jul 27 06:54:52 UTC 2025\n');
  write('gpus/0000:01:00.0/information', 'Model: \t\t NVIDIA H100 80GB HBM3\nIRQ:   \t\t 45\n');
  const machine = describeMachine(proc, '/no/such/nvidia-smi');
  expect(machine).toMatchObject({ gpus: ['NVIDIA H100 80GB HBM3, 580.65.06'], toldBy: '/proc/driver/nvidia' });
  expect(describeMachine(join(proc, 'none'), '/no/such/nvidia-smi').gpus).toEqual([]);
});

describe('the report', () => {
  const options = { device: 'cuda', steps: 2, imageSize: 224, batchSize: 32, width: 1 } as const;
  const result = (losses: number[], provider: string) => ({
    result: {
      losses,
      stepSeconds: [1, 0.5],
      loopSeconds: [1, 1],
      overflows: 1,
      memory: { before: 2 ** 30, training: 7 * 2 ** 30, after: 2 ** 31, total: 80 * 2 ** 30 },
      nodes: [{ node: 'conv1', op: 'Conv', provider, milliseconds: 0.25, bytes: 8 }],
      uncovered: [],
    },
  });
  const group = {
    pictures: 'synthetic',
    reference: result([4.625, 4.5], 'CPUExecutionProvider'),
    trials: [
      { precision: 'fp32', outcome: result([4.625, 4.5], 'CPUExecutionProvider'), faults: ['a heavy node'] },
      { precision: 'fp16', outcome: { failure: 'its process ended by SIGSEGV' }, faults: ['its process ended'] },
    ],
  } as const;

  test('names what is wrong, where a node fell, how fast it went and what it took', () => {
    const text = formatGroup(options, group);
    expect(text).toMatch(
      /^GPU fp32 +4\.62500 +4\.50000 +0\.0e\+0 \(0\.0001\) .* 42\.7 +32\.0 +6\.0 GiB of 80\.0 GiB$/m,
    );
    expect(text).toContain('Not by CUDAExecutionProvider: 1: HEAVY conv1 (Conv)');
    expect(text).toContain('FAILED  GPU fp32: a heavy node');
    expect(text).toContain('FAILED  GPU fp16: its process ended');
    expect(text).toContain('Steps tried again with a smaller loss scale: 1');
  });

  test('ends with what it comes to', () => {
    const about = {
      options,
      machine: { cpu: '', threads: 1, memory: 1, gpus: [] },
      library: { version: '', variant: '' },
    };
    expect(formatEnd({ ...about, ok: false, groups: [group] })).toMatch(/^FAILED/);
    expect(formatEnd({ ...about, ok: true, groups: [] })).toBe('The GPU trains as the CPU does.');
  });
});
