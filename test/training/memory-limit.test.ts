import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RESNET_DEFAULTS } from '../../onnx/index.ts';
import { defaultCacheBytes } from '../../src/data/decoded-cache.ts';
import { checkRecipe } from '../../src/recipes/index.ts';
import { type Bounds, type MemoryCheck, requireMemory } from '../../src/training/check-memory.ts';
import { FINETUNE_DEFAULTS, PRETRAIN_DEFAULTS, type TrainingEvent } from '../../src/training/index.ts';
import { containerBound, parseMemoryLimit, systemBound } from '../../src/training/memory-limit.ts';
import { headMemory, wholeMemory } from '../../src/training/stage-memory.ts';

const MiB = 2 ** 20;
const GiB = 2 ** 30;

describe('a size', () => {
  it.each([
    ['4GiB', 4 * GiB],
    ['3000MB', 3e9],
    ['1.5 GiB', 1.5 * GiB],
    ['200kB', 200_000],
    ['none', Number.POSITIVE_INFINITY],
  ])('%s', (text, bytes) => {
    expect(parseMemoryLimit(text)).toBe(bytes);
    expect(checkRecipe({ finetune: { memoryLimit: text } }, 'mine').finetune?.memoryLimit).toBe(text);
  });

  it.each(['4', '4G', '-1GiB', '4 gib', '', '0GiB', '1e3MB'])('%j is none', (text) => {
    expect(() => parseMemoryLimit(text)).toThrow(
      expect.objectContaining({
        code: 'OPTION',
        message: `memory-limit: expected a size such as 4GiB or 3000MB, or none, received ${text}`,
      }),
    );
  });
});

describe("a container's limit, from the files of a system", () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'ortune-cgroup-'));
  });
  afterEach(() => rm(root, { recursive: true }));

  async function write(files: Record<string, string | number>): Promise<void> {
    for (const [file, text] of Object.entries(files)) {
      await mkdir(dirname(join(root, file)), { recursive: true });
      await writeFile(join(root, file), `${text}\n`);
    }
  }
  const own = (mebibytes: number) => `VmRSS:\t 999999 kB\nRssAnon:\t ${mebibytes * 1024} kB\nRssShmem:\t 0 kB`;

  it('version 2: the limit, less what others have but pages of files', async () => {
    await write({
      'proc/self/cgroup': '0::/box',
      'proc/self/status': own(100),
      'sys/fs/cgroup/box/memory.max': 2 * GiB,
      'sys/fs/cgroup/box/memory.current': 1000 * MiB,
      'sys/fs/cgroup/box/memory.stat': `anon 1\nfile 2\ninactive_file ${300 * MiB}\nactive_file ${100 * MiB}`,
    });
    expect(await containerBound(root)).toEqual({
      bytes: 2 * GiB - 500 * MiB,
      source: '/sys/fs/cgroup/box/memory.max (2.00 GiB, of which other processes have 500 MiB)',
    });
  });

  it('version 2, nested: the tightest group counts, those without a limit do not', async () => {
    await write({
      'proc/self/cgroup': '0::/outer/middle/inner',
      'sys/fs/cgroup/outer/middle/inner/memory.max': 'max',
      'sys/fs/cgroup/outer/middle/memory.max': GiB,
      'sys/fs/cgroup/outer/memory.max': 4 * GiB,
    });
    expect(await containerBound(root)).toEqual({
      bytes: GiB,
      source: '/sys/fs/cgroup/outer/middle/memory.max (1.00 GiB)',
    });
    // What is left in the larger one is less than the smaller one's limit.
    await write({ 'sys/fs/cgroup/outer/memory.current': 3.5 * GiB });
    expect(await containerBound(root)).toMatchObject({ bytes: GiB / 2 });
  });

  it('version 2 in a namespace: the group is the root of what is mounted', async () => {
    await write({ 'proc/self/cgroup': '0::/', 'sys/fs/cgroup/memory.max': GiB });
    expect(await containerBound(root)).toMatchObject({ bytes: GiB });
    // Of a path out of the namespace nothing is followed.
    await write({ 'proc/self/cgroup': '0::/../elsewhere', 'sys/fs/memory.max': 1 });
    expect(await containerBound(root)).toMatchObject({ bytes: GiB });
  });

  it('version 1, where the path is that of outside, and beside an empty version 2', async () => {
    await write({
      'proc/self/cgroup': '4:cpu,cpuacct:/a\n3:memory:/docker/abc\n0::/',
      'proc/self/status': own(50),
      'sys/fs/cgroup/memory/memory.limit_in_bytes': 512 * MiB,
      'sys/fs/cgroup/memory/memory.usage_in_bytes': 200 * MiB,
      'sys/fs/cgroup/memory/memory.stat': `total_inactive_file ${40 * MiB}\ntotal_active_file ${10 * MiB}`,
    });
    expect(await containerBound(root)).toEqual({
      bytes: 412 * MiB,
      source: '/sys/fs/cgroup/memory/memory.limit_in_bytes (512 MiB, of which other processes have 100 MiB)',
    });
    await write({ 'sys/fs/cgroup/memory/docker/memory.limit_in_bytes': 256 * MiB });
    expect(await containerBound(root)).toMatchObject({ bytes: 256 * MiB });
  });

  it('none: no limit of version 1, "max" of version 2, no control groups at all', async () => {
    expect(await containerBound(root)).toBeUndefined();
    await write({
      'proc/self/cgroup': '3:memory:/\n0::/box',
      'sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712',
      'sys/fs/cgroup/unified/box/memory.max': 'max',
    });
    expect(await containerBound(root)).toBeUndefined();
  });

  it('what the system has left, and what the process has already', async () => {
    expect(await systemBound(root)).toBeUndefined();
    await write({
      'proc/meminfo': 'MemTotal: 8388608 kB\nMemFree: 1 kB\nMemAvailable:    2097152 kB',
      'proc/self/status': own(128),
    });
    expect(await systemBound(root)).toMatchObject({ bytes: 2 * GiB + 128 * MiB });
  });
});

describe('a run', () => {
  const size = {
    network: { ...RESNET_DEFAULTS, imageSize: 128, classes: 10 },
    chosen: { kernels: 'native', layers: 'native' },
    device: 'cpu',
    pictures: { train: 1000, valid: 0, test: 200 },
    memoryLimit: undefined,
    by: 'flags',
    emit: () => {},
  } as const;
  const whole = (settings: object = {}, changes: object = {}) =>
    wholeMemory({ ...FINETUNE_DEFAULTS, batchSize: 64, ...settings }, { ...size, ...changes });
  const none = async () => undefined;
  const bound = (bytes: number, source = 'the box') => ({
    container: async () => ({ bytes, source }),
    system: none,
  });
  const free = { container: none, system: none };
  const refusal = (check: MemoryCheck, bounds: Bounds = free) =>
    requireMemory(check, bounds).then(
      () => expect.fail('it was accepted'),
      (error: { code: string; message: string }) => error,
    );

  const listening = () => {
    const notes: string[] = [];
    const emit = (event: TrainingEvent) => {
      if (event.type === 'note') notes.push(event.text);
    };
    return { notes, emit };
  };

  it('above its limit is refused, with the estimate, the limit and what would fit', async () => {
    const { code, message } = await refusal(whole({}, { memoryLimit: '2GiB' }));
    expect(code).toBe('MEMORY_LIMIT');
    const [, estimate, limit, fits, batch, times] =
      /^memory-limit: batches of 64 at 128 px are estimated to take ([\d.]+ GiB), more than ([\d.]+ GiB): --memory-limit 2GiB\. Batches of (\d+) fit: --batch-size \3; or --batch-size (\d+) --accumulate (\d+), whose updates are of 64 pictures as before\.$/.exec(
        message,
      ) ?? expect.fail(message);
    const bytes = (batchSize: number, accumulate = 1) => whole().estimate({ batchSize, accumulate, imageSize: 128 });
    expect([estimate, limit]).toEqual([`${(bytes(64) / GiB).toFixed(2)} GiB`, '2.00 GiB']);
    expect(bytes(Number(fits))).toBeLessThanOrEqual(2 * GiB);
    expect(bytes(Number(fits) + 1)).toBeGreaterThan(2 * GiB);
    expect(bytes(Number(batch), Number(times))).toBeLessThanOrEqual(2 * GiB);
    expect(Number(batch) * Number(times)).toBe(64);
    // Twice the batch is the next that divides 64.
    expect(bytes(2 * Number(batch), Number(times) / 2)).toBeGreaterThan(2 * GiB);
  });

  it('of several batches an update keeps its pictures', async () => {
    const { message } = await refusal(whole({ accumulate: 3 }, { memoryLimit: '2500MB' }));
    const [, batch, times] = /--batch-size (\d+) --accumulate (\d+), whose updates are of 192/.exec(message) ?? [];
    expect(Number(batch) * Number(times)).toBe(192);
  });

  it('an update that nothing divides is not promised', async () => {
    const { message } = await refusal(whole({ batchSize: 61 }, { memoryLimit: '2GiB' }));
    expect(message).toMatch(/Batches of \d+ fit: --batch-size \d+\.$/);
  });

  it('too large for a batch of the least is told of pictures that are not', async () => {
    const large = { network: { ...size.network, imageSize: 512 }, memoryLimit: '1600MiB' };
    const { message } = await refusal(whole({}, large));
    const [, side] =
      /a batch of 2 does not fit either; .* --image-size (\d+) instead of 512/.exec(message) ?? expect.fail(message);
    const at = (imageSize: number) => whole({}, large).estimate({ batchSize: 2, accumulate: 1, imageSize });
    expect(at(Number(side))).toBeLessThanOrEqual(1600 * MiB);
    expect(at(Number(side) + 32)).toBeGreaterThan(1600 * MiB);
    expect((await refusal(whole({}, { memoryLimit: '300MB' }))).message).toMatch(/the network itself is too large/);
  });

  it('whose size a recipe says is told so', async () => {
    const { message } = await refusal(whole({}, { memoryLimit: '2GiB', by: 'recipe' }));
    expect(message).toMatch(/; or batchSize: \d+, accumulate: \d+ in a recipe's finetune, whose/);
  });

  it('of a head on features is not told of batches', async () => {
    const check = headMemory({ ...PRETRAIN_DEFAULTS, weights: 'none' }, { ...size, memoryLimit: '500MiB' });
    expect((await refusal(check)).message).toMatch(/^memory-limit: pictures of 128 px .* smaller batches do not help/);
    const live = headMemory(
      { ...PRETRAIN_DEFAULTS, weights: 'none', batchNorm: 'live', batchSize: 64 },
      { ...size, memoryLimit: '1100MiB' },
    );
    expect((await refusal(live)).message).toMatch(/Batches of \d+ fit: --batch-size \d+\.$/);
  });

  it('above the limit of its container is refused, unless a limit is set', async () => {
    const { notes, emit } = listening();
    expect((await refusal(whole({}, { emit }), bound(GiB))).message).toMatch(
      /more than 1\.00 GiB: the box\. .* --memory-limit none tries it all the same\.$/,
    );
    expect(notes).toEqual([]);
    await requireMemory(whole({}, { emit, memoryLimit: '64GiB' }), bound(GiB));
    expect(notes).toEqual([expect.stringMatching(/estimated to take .* GiB, more than 1\.00 GiB: the box\.$/)]);
    await requireMemory(whole({}, { emit, memoryLimit: 'none' }), bound(GiB));
    expect(notes).toHaveLength(1);
  });

  it('above what the system has left is only told of', async () => {
    const { notes, emit } = listening();
    const system = { container: none, system: bound(GiB, 'the system').container };
    await requireMemory(whole({}, { emit }), system);
    expect(notes).toEqual([expect.stringMatching(/more than 1\.00 GiB: the system\.$/)]);
  });

  it('leaves decoded pictures what is left, and never more than by default', async () => {
    const check = whole();
    const estimate = check.estimate(check);
    expect(await requireMemory(check, bound(estimate + 5 * MiB))).toBe(5 * MiB);
    expect(await requireMemory(check, { container: none, system: bound(MiB).container })).toBe(0);
    expect(await requireMemory(check, free)).toBe(defaultCacheBytes());
    expect(await requireMemory(whole({}, { memoryLimit: 'none' }), bound(MiB))).toBe(defaultCacheBytes());
  });

  it('on a GPU has no estimate', async () => {
    const { notes, emit } = listening();
    await requireMemory(whole({}, { device: 'cuda', memoryLimit: '1GiB', emit }), bound(MiB));
    expect(notes).toEqual([expect.stringMatching(/--memory-limit has no effect here/)]);
  });
});
