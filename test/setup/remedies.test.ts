import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { homeFolder } from '#setup/paths.mjs';
import { loadSolutions, networkHint, platformProblem, thisMachine } from '#setup/remedies.mjs';
import { root } from './working-copy.ts';

describe('a platform', () => {
  test.each([
    [
      { platform: 'win32', arch: 'x64' },
      /Windows itself.*\nPossible solutions:\n {2}- .*wsl --install.*npx ortune setup/,
    ],
    [
      { platform: 'darwin', arch: 'arm64' },
      /darwin-arm64.*\nPossible solutions:\n {2}- .*docker run .*\n.*ORTUNE_ORT_LIBRARY=/,
    ],
    [{ platform: 'linux', arch: 'arm', libc: 'glibc' }, /linux-arm \(there is for linux-x64, linux-arm64\)/],
    [{ platform: 'linux', arch: 'x64', libc: 'musl' }, /musl \(Alpine\).*\n.*\n {2}- .*FROM node:22-bookworm-slim/],
  ] as const)('without a training library is told what to do: %j', (machine, message) => {
    expect(platformProblem(machine)).toMatch(message);
  });

  test('with one is any that native/runtime.json pins one for', () => {
    const { variants } = JSON.parse(readFileSync(join(root, 'native/runtime.json'), 'utf8'));
    for (const { platform } of Object.values<{ platform: string }>(variants)) {
      const [os = '', arch = ''] = platform.split('-');
      expect(platformProblem({ platform: os, arch, libc: 'glibc' })).toBeUndefined();
    }
  });

  test('is known by its C library', () => {
    expect(process.platform === 'linux' ? ['glibc', 'musl'] : [undefined]).toContain(thisMachine().libc);
  });
});

// What glibc's linker says, and musl's.
test.each([
  ["/lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.34' not found (required by /a/ortune.node)", /glibc 2\.34/],
  [
    "/opt/conda/lib/libstdc++.so.6: version `GLIBCXX_3.4.29' not found (required by /a/b.so)",
    /apt install .*libstdc\+\+6/,
  ],
  ['libstdc++.so.6: cannot open shared object file: No such file or directory', /apt install libstdc\+\+6/],
  ['libgomp.so.1: cannot open shared object file: No such file or directory', /dnf install .*libgomp/],
  [
    'libfoo.so.2: cannot open shared object file: No such file or directory',
    /^libfoo\.so\.2 is missing.*LD_LIBRARY_PATH/,
  ],
  ['Error loading shared library ld-linux-x86-64.so.2: No such file or directory', /FROM node:22-bookworm-slim/],
  [
    '/a/ortune.node: failed to map segment from shared object',
    /noexec.*ORTUNE_HOME=\/path\/to\/folder npx ortune setup/,
  ],
])('the linker says %j', (reason, solution) => {
  expect(loadSolutions(reason).join('\n')).toMatch(solution);
});

test.each([
  '[ERROR] Could not transfer artifact org.bytedeco:onnxruntime:pom:1.24.1 from/to central',
  'warning: spurious network error (3 tries remaining): [6] Could not resolve hostname (Could not resolve host: index.crates.io)',
  'npm error code ENOTCACHED',
])('without a network, %j', (output) => {
  const hint = networkHint(output, 'HTTPS_PROXY=http://HOST:PORT npx ortune setup', '/home/me/.cache/ortune/0.1.0');
  expect(hint).toMatch(
    /^\nPossible solutions:\n {2}- Behind a proxy: HTTPS_PROXY.*\n.*copy the folder \/home\/me\/\.cache/,
  );
  expect(networkHint('error[E0308]: mismatched types', '', '')).toBe('');
});

test('what is not known has no made-up remedy', () => {
  expect(loadSolutions('invalid ELF header')).toEqual([]);
});

describe('what setup makes goes', () => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  test.each([
    ['into the clone', { isInstalled: false, env: { XDG_CACHE_HOME: '/cache' } }, join(root, 'native')],
    ["into the user's cache", { isInstalled: true, env: { XDG_CACHE_HOME: '/cache' } }, `/cache/ortune/${version}`],
    ['where ORTUNE_HOME says', { isInstalled: true, env: { ORTUNE_HOME: '/opt/ortune' } }, '/opt/ortune'],
    [
      'where ORTUNE_HOME says, of a clone too',
      { isInstalled: false, env: { ORTUNE_HOME: '/opt/ortune' } },
      '/opt/ortune',
    ],
  ])('%s', (_, from, home) => expect(homeFolder(from)).toBe(home));

  test("into the user's cache by its usual name", () => {
    expect(homeFolder({ isInstalled: true, env: {} })).toMatch(/\/\.cache\/ortune\/[\d.]+$/);
  });
});
