import { execFileSync, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { drawFlowers } from '../../scripts/demo/flowers.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const load = async <T>(name: string) => (await import(pathToFileURL(join(root, 'scripts', name)).href)) as T;

interface Found {
  name: string;
  folder?: string;
  byLinker: boolean;
  otherVersions: string[];
}
const { findLibraries, libraryPath } = await load<{
  findLibraries(names: string[], places: object): Found[];
  libraryPath(found: Found[], given?: string): string;
}>('gpu/find-cuda.mjs');
const { packageFolders } = await load<{ packageFolders(root: string, names: string[]): string[] }>(
  'gpu/archive/packages.mjs',
);
const { parseSize, splitFile } = await load<{
  parseSize(text: string): number;
  splitFile(file: string, size: number): string[];
}>('gpu/archive/split.mjs');
const { addonIsCurrent } = await load<{ addonIsCurrent(): boolean }>('setup/addon.mjs');

function folderWith(files: Record<string, string> = {}): string {
  const folder = mkdtempSync(join(tmpdir(), 'ortune-gpu-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
  return folder;
}

describe("CUDA's libraries", () => {
  const find = (names: string[], root: string, { env = {}, linker = {}, python = [] as string[] } = {}) =>
    findLibraries(names, {
      root,
      env,
      own: join(root, 'archive/cuda'),
      linkerFolders: () => new Map(Object.entries(linker)),
      pythonFolders: () => python,
    });

  test.each([
    ['the newest toolkit', 'libcudart.so.13', 'usr/local/cuda-13.10/lib64', 'usr/local/cuda-13.9/lib64'],
    ['the archive itself', 'libcudart.so.13', 'archive/cuda', 'usr/local/cuda/lib64'],
    ['a container', 'libcuda.so.1', 'usr/local/nvidia/lib64', undefined],
    ['PyTorch', 'libcudnn.so.9', 'usr/local/lib/python3.12/site-packages/nvidia/cudnn/lib', undefined],
    ["Debian's Python", 'libcublas.so.13', 'usr/lib/python3/dist-packages/nvidia/cu13/lib', undefined],
    ['an environment below /opt', 'libcufft.so.12', 'opt/venv/lib/python3.11/site-packages/nvidia/cu13/lib', undefined],
  ])('are found in %s', (_, name, place, other) => {
    const folder = folderWith({ [`${place}/${name}`]: '', ...(other && { [`${other}/${name}`]: '' }) });
    const found = find([name], folder);
    expect(found).toEqual([{ name, folder: join(folder, place), byLinker: false, otherVersions: [] }]);
    expect(libraryPath(found)).toBe(join(folder, place));
  });

  test('are found where the user, a virtual environment and the Python on PATH have them', () => {
    const folder = folderWith({
      'given/liba.so.1': '',
      'venv/lib/python3.10/site-packages/nvidia/b/lib/libb.so.1': '',
      'pyenv/site-packages/nvidia/c/lib/libc.so.1': '',
      'home/.local/lib/python3.9/site-packages/nvidia/d/lib/libd.so.1': '',
    });
    const env = {
      LD_LIBRARY_PATH: join(folder, 'given'),
      VIRTUAL_ENV: join(folder, 'venv'),
      HOME: join(folder, 'home'),
    };
    const names = ['liba.so.1', 'libb.so.1', 'libc.so.1', 'libd.so.1'];
    const found = find(names, folder, { env, python: [join(folder, 'pyenv/site-packages')] });
    const folders = ['venv/lib/python3.10/site-packages/nvidia/b/lib', 'pyenv/site-packages/nvidia/c/lib'];
    const last = 'home/.local/lib/python3.9/site-packages/nvidia/d/lib';
    expect(libraryPath(found, env.LD_LIBRARY_PATH).split(':')).toEqual(
      ['given', ...folders, last].map((place) => join(folder, place)),
    );
  });

  test('that the linker knows are left to it', () => {
    const folder = folderWith({ 'usr/local/cuda/lib64/libcudart.so.13': '' });
    const found = find(['libcudart.so.13'], folder, { linker: { 'libcudart.so.13': '/usr/lib' } });
    expect(found).toMatchObject([{ folder: '/usr/lib', byLinker: true }]);
    expect(libraryPath(found)).toBe('');
  });

  test('that are missing are told with what is there of another version', () => {
    const folder = folderWith({ 'usr/local/cuda-12.4/lib64/libcudart.so.12': '' });
    expect(find(['libcudart.so.13', 'libcudnn.so.9'], folder)).toEqual([
      {
        name: 'libcudart.so.13',
        byLinker: false,
        otherVersions: [join(folder, 'usr/local/cuda-12.4/lib64/libcudart.so.12')],
      },
      { name: 'libcudnn.so.9', byLinker: false, otherVersions: [] },
    ]);
  });
});

describe('the packages of an archive', () => {
  const manifest = (content: object) => JSON.stringify(content);

  test('are those named and what they depend on, with the copies of their own', () => {
    const folder = folderWith({
      'node_modules/a/package.json': manifest({ dependencies: { b: '1' }, optionalDependencies: { win: '1' } }),
      'node_modules/a/node_modules/b/package.json': manifest({ dependencies: { '@s/c': '1' } }),
      'node_modules/b/package.json': manifest({ dependencies: { unused: '1' } }),
      'node_modules/@s/c/package.json': manifest({ peerDependencies: { d: '1' } }),
      'node_modules/d/package.json': manifest({ dependencies: { a: '1' } }),
      'node_modules/unused/package.json': manifest({}),
    });
    expect(packageFolders(folder, ['a'])).toEqual(['node_modules/@s/c', 'node_modules/a', 'node_modules/d']);
  });

  test('must be installed', () => {
    const folder = folderWith({ 'node_modules/a/package.json': manifest({ dependencies: { b: '1' } }) });
    expect(() => packageFolders(folder, ['a'])).toThrow('b, which node_modules/a needs, is not installed');
  });
});

describe('parts', () => {
  test.each([
    ['60M', 60 * 2 ** 20],
    ['1G', 2 ** 30],
    ['700', 700],
  ])('of %s', (text, bytes) => expect(parseSize(text)).toBe(bytes));

  test.each(['', '0', '60MB', '-1', '1.5M'])('"%s" is no size', (text) => {
    expect(() => parseSize(text)).toThrow('expected a size such as 60M');
  });

  test('are joined by cat in the order of their names', () => {
    const content = Array.from({ length: 1050 }, (_, index) => String.fromCharCode(97 + (index % 26))).join('');
    const folder = folderWith({ 'a.tar.gz': content });
    const parts = splitFile(join(folder, 'a.tar.gz'), 100);
    expect(parts).toHaveLength(11);
    expect(parts.map((part) => readFileSync(part).length)).toEqual([...Array(10).fill(100), 50]);
    expect(execFileSync('sh', ['-c', 'cat a.tar.gz.[0-9]*'], { cwd: folder, encoding: 'utf8' })).toBe(content);
    expect(readdirSync(folder)).toHaveLength(12);
  });
});

const archive = (args: string[]) =>
  spawnSync(process.execPath, [join(root, 'scripts/gpu-archive.mjs'), ...args], { encoding: 'utf8' });

describe('npm run gpu-archive', () => {
  test.each([
    [[], '--out: expected a name that ends in .tar.gz, received none'],
    [['--out', 'a.tar.gz', '--device', 'tpu'], '--device: expected cpu or cuda, received tpu'],
    [['--out', 'a.tar.gz', '--data', '/no/such'], 'there is no /no/such'],
    [['--output', 'a'], "Unknown option '--output'"],
  ])('%j is refused', (args, message) => {
    const { status, stderr } = archive(args);
    expect(status).toBe(1);
    expect(stderr).toContain(message);
  });

  // The check is packed with this checkout's library, whichever it is, and rehearsed where there is nothing else.
  test.skipIf(!addonIsCurrent() || process.platform !== 'linux')(
    'brings all that the check needs, Node included',
    { timeout: 600_000 },
    async () => {
      const folder = folderWith();
      await drawFlowers(join(folder, 'flowers'), { perClass: 3, size: 48, seed: 0 });
      const out = join(folder, 'check.tar.gz');
      const made = archive(['--out', out, '--device', 'cpu', '--split', '10M', '--data', join(folder, 'flowers')]);
      expect(made.stderr).toBe('');
      expect(made.stdout).toContain('cat check.tar.gz.[0-9]* > check.tar.gz');
      expect(existsSync(out)).toBe(false);
      execFileSync('sh', ['-c', 'cat check.tar.gz.[0-9]* | tar -xz'], { cwd: folder });

      const commands = join(folder, 'commands');
      mkdirSync(commands);
      for (const name of ['cat', 'ls', 'head']) {
        symlinkSync(
          execFileSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim(),
          join(commands, name),
        );
      }
      const run = (args: string[]) =>
        spawnSync(join(folder, 'ortune-gpu/run.sh'), args, {
          cwd: folder,
          encoding: 'utf8',
          env: { PATH: commands },
        });
      const small = ['--width', '0.125', '--image-size', '32', '--batch-size', '4', '--steps', '2'];
      const { status, stdout, stderr } = run([
        '--device',
        'cpu',
        ...small,
        '--data',
        'ortune-gpu/data',
        '--json',
        'r.json',
      ]);
      expect(stderr).toBe('');
      expect(stdout).toMatch(/libcudnn\.so\.9 +\S+/);
      expect(stdout).toMatch(/The rehearsal went well\.\n$/);
      expect(status).toBe(0);
      const { groups } = JSON.parse(readFileSync(join(folder, 'r.json'), 'utf8')) as { groups: { pictures: string }[] };
      expect(groups.map(({ pictures }) => pictures)).toEqual(['synthetic', 'ortune-gpu/data']);
    },
  );
});
