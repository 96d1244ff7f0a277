import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { importSetup, root } from './working-copy.ts';

interface Runtime {
  version: string;
  artifact: string;
  variants: Record<string, { platform: string; device: string; files: Record<string, string> }>;
  oneDNN: {
    version: string;
    artifact: string;
    variants: Record<string, { platform: string; files: Record<string, string> }>;
  };
}
interface Question {
  runtime: Runtime;
  platform: string;
  flag?: 'cpu' | 'cuda';
  library?: string;
  current?: { wish: string; source: string };
  findDriver: () => { found: string; version?: string } | undefined;
}
interface KernelQuestion {
  runtime: Runtime;
  platform: string;
  wanted?: string;
  current?: { absent?: string; library?: string };
}
const { chooseKernels, chooseLibrary } = await importSetup<{
  chooseKernels(question: KernelQuestion): { variant: string } | { absent: string; reason: string };
  chooseLibrary(question: Question): { wish: string; variant: string; reason: string; library?: string };
}>('choice.mjs');

const runtime = JSON.parse(readFileSync(join(root, 'native/runtime.json'), 'utf8')) as Runtime;
const noDriver = () => undefined;
const driver = () => ({ found: '/proc/driver/nvidia/version', version: '580.65.06' });
const choose = (question: Partial<Question>) =>
  chooseLibrary({ runtime, platform: 'linux-x64', findDriver: noDriver, ...question });

describe('native/runtime.json', () => {
  test('pins each file by SHA-256, the library of each variant among them', () => {
    for (const { files, device } of Object.values(runtime.variants)) {
      expect(Object.keys(files)).toContain('libonnxruntime.so.1');
      expect(Object.keys(files).includes('libonnxruntime_providers_cuda.so')).toBe(device === 'cuda');
      for (const sha256 of Object.values(files)) expect(sha256).toMatch(/^[0-9a-f]{64}$/);
    }
  });

  test('pins oneDNN with the OpenMP library that it needs', () => {
    for (const { files } of Object.values(runtime.oneDNN.variants)) {
      expect(Object.keys(files)).toEqual(['libdnnl.so.3', 'libgomp.so.1']);
      for (const sha256 of Object.values(files)) expect(sha256).toMatch(/^[0-9a-f]{64}$/);
    }
  });

  test.each([
    ['onnxruntime', runtime],
    ['dnnl', runtime.oneDNN],
  ])('names one version of %s', (name, { artifact, version }) => {
    expect(artifact).toMatch(new RegExp(`^org\\.bytedeco:${name}:[\\d.]+-[\\d.]+$`));
    expect(artifact.split(':')[2]?.split('-')[0]).toBe(version);
  });
});

describe('which library, and why', () => {
  test('CPU without a driver', () => {
    expect(choose({})).toEqual({ wish: 'auto', variant: 'linux-x86_64', reason: 'CPU, as no NVIDIA driver was found' });
  });

  test('CUDA with a driver, which is named', () => {
    const reason = 'CUDA, as NVIDIA driver 580.65.06 was found';
    expect(choose({ findDriver: driver })).toEqual({ wish: 'auto', variant: 'linux-x86_64-gpu', reason });
  });

  test('CPU with a driver where no CUDA library is pinned', () => {
    const choice = choose({ platform: 'linux-arm64', findDriver: driver });
    expect(choice.variant).toBe('linux-arm64');
    expect(choice.reason).toContain('no CUDA library is pinned for linux-arm64');
  });

  test('a flag beats the driver', () => {
    expect(choose({ flag: 'cuda' })).toMatchObject({ wish: 'cuda', variant: 'linux-x86_64-gpu' });
    expect(choose({ flag: 'cpu', findDriver: driver })).toMatchObject({ wish: 'cpu', variant: 'linux-x86_64' });
  });

  test('a flag is remembered, another one takes its place', () => {
    const current = { wish: 'cpu', source: 'maven' };
    expect(choose({ current, findDriver: driver }).variant).toBe('linux-x86_64');
    expect(choose({ current, flag: 'cuda' }).variant).toBe('linux-x86_64-gpu');
  });

  test('without a flag, a driver that has appeared or gone changes the choice', () => {
    const current = { wish: 'auto', source: 'maven' };
    expect(choose({ current, findDriver: driver }).variant).toBe('linux-x86_64-gpu');
    expect(choose({ current }).variant).toBe('linux-x86_64');
  });

  test("a library of one's own wins, is remembered, and is undone by a flag", () => {
    expect(choose({ library: '/opt/lib.so', findDriver: driver })).toMatchObject({
      variant: 'custom',
      library: '/opt/lib.so',
    });
    const current = { wish: 'custom', source: '/opt/lib.so' };
    expect(choose({ current })).toMatchObject({ variant: 'custom', library: '/opt/lib.so' });
    expect(choose({ current, flag: 'cpu' }).variant).toBe('linux-x86_64');
    expect(() => choose({ library: '/opt/lib.so', flag: 'cpu' })).toThrow('leave one of them out');
  });

  test('a platform without a pinned library is told how to bring one', () => {
    expect(() => choose({ platform: 'darwin-arm64' })).toThrow(
      /no pinned training library for darwin-arm64 \(there is for linux-x64, linux-arm64\).*ORTUNE_ORT_LIBRARY/s,
    );
    expect(choose({ platform: 'darwin-arm64', library: '/opt/lib.dylib' }).variant).toBe('custom');
    expect(() => choose({ platform: 'linux-arm64', flag: 'cuda' })).toThrow('no pinned CUDA library for linux-arm64');
  });
});

describe('whether oneDNN, and why not', () => {
  const kernels = (question: Partial<KernelQuestion>) => chooseKernels({ runtime, platform: 'linux-x64', ...question });
  const taken = { variant: 'linux-x86_64' };

  test('it goes with the platform', () => {
    expect(kernels({})).toEqual(taken);
    // An empty variable is an unset one.
    expect(kernels({ wanted: '' })).toEqual(taken);
    for (const platform of ['linux-arm64', 'darwin-arm64']) {
      expect(kernels({ platform })).toEqual({ absent: 'unavailable', reason: `none is pinned for ${platform}` });
    }
  });

  test('not wanted is remembered, until it is wanted', () => {
    expect(kernels({ wanted: '0', current: { library: 'onednn' } })).toMatchObject({ absent: 'off' });
    const current = { absent: 'off' };
    expect(kernels({ current })).toMatchObject({ absent: 'off', reason: expect.stringContaining('ORTUNE_ONEDNN=1') });
    expect(kernels({ current, wanted: '1' })).toEqual(taken);
  });

  test('what was missing last time is wanted again', () => {
    for (const absent of ['failed', 'unavailable']) expect(kernels({ current: { absent } })).toEqual(taken);
  });

  test('another value is refused', () => {
    expect(() => kernels({ wanted: 'no' })).toThrow('expected 0 (leave oneDNN out) or 1 (take it), received no');
  });
});
