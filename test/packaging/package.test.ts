// The package as a user gets it: packed, installed into an empty project, set up, used by its commands and as a library.
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { drawFlowers, FLOWER_CLASSES } from '../../scripts/demo/flowers.ts';
import { importSetup } from '../setup/working-copy.ts';
import { homeOfCheckout, pack, project, root, run, succeed } from './project.ts';

const { addonIsCurrent } = await importSetup<{ addonIsCurrent(): boolean }>('addon.mjs');

const work = mkdtempSync(join(tmpdir(), 'ortune-package-'));
const photo = 'photos/daisy/daisy-001.jpg';
let tarball = '';
let home = '';
let folder = '';
const ortune = (...words: string[]) => run(folder, ['node_modules/.bin/ortune', ...words], { ORTUNE_HOME: home });
const files = (at: string) => readdirSync(at, { recursive: true, encoding: 'utf8' }).sort();

beforeAll(() => {
  tarball = pack(work);
  folder = project(join(work, 'project'), [tarball]);
}, 300_000);
afterAll(() => rmSync(work, { recursive: true, force: true }));

describe('the tarball', () => {
  test('holds what runs, the sources of the addon, and nothing else', () => {
    const names = files(join(folder, 'node_modules/ortune'));
    const top = new Set(names.map((name) => name.split('/')[0]));
    expect([...top].sort()).toEqual(['LICENSE', 'README.md', 'dist', 'native', 'package.json', 'scripts']);
    expect(names.filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts'))).toEqual([]);
    expect(names).toEqual(expect.arrayContaining(['native/Cargo.lock', 'native/src/lib.rs', 'native/runtime.json']));
    // What a module reads that is no module lies beside it.
    const read = files(join(root, 'src')).filter((name) => /\.\w+$/.test(name) && !name.endsWith('.ts'));
    expect(names).toEqual(expect.arrayContaining(read.map((name) => `dist/src/${name}`)));
  });

  test('is clean to publint and to Are The Types Wrong', () => {
    succeed(root, ['node_modules/.bin/publint', 'run', tarball, '--strict']);
    succeed(root, ['node_modules/.bin/attw', tarball, '--profile', 'esm-only', '--no-emoji']);
  });
});

describe('installed', () => {
  test('no package of it has an install script', () => {
    const { packages } = JSON.parse(readFileSync(join(folder, 'node_modules/.package-lock.json'), 'utf8'));
    expect(Object.keys(packages)).toContain('node_modules/ortune');
    expect(Object.keys(packages)).not.toContain('node_modules/onnxruntime-node');
    expect(Object.entries<object>(packages).filter(([, entry]) => 'hasInstallScript' in entry)).toEqual([]);
  });

  test('it installs again without a network', () => {
    project(join(work, 'offline'), [tarball], ['--offline']);
  });

  test('before setup, doctor and the commands say what to run', () => {
    home = join(work, 'nothing');
    const { status, stdout } = ortune('doctor');
    expect(status).toBe(1);
    expect(stdout).toContain(`native parts in ${home}`);
    expect(stdout).toMatch(/^note {5}onnxruntime-node +not installed: run `npx ortune setup`$/m);
    expect(stdout).toMatch(/^PROBLEM {2}addon .*nothing\/ortune\.node is not built: run `npx ortune setup`$/m);
    const predict = ortune('predict', '--model', 'no-model', 'a.jpg');
    expect(predict).toMatchObject({ status: 1, stdout: '' });
    const help = ortune('finetune', '--help');
    expect(help).toMatchObject({ status: 0, stdout: expect.stringMatching(/^npx ortune finetune --data DIR\n/) });
  });
});

// `npm test` makes both first; without them only these are left out.
describe.skipIf(!addonIsCurrent())('set up', () => {
  beforeAll(async () => {
    home = homeOfCheckout(join(work, 'home'));
    await drawFlowers(join(folder, 'photos'), { perClass: 6, size: 48, seed: 0 });
  });

  test('setup takes what is there and installs only onnxruntime-node, outside of the project', {
    timeout: 300_000,
  }, () => {
    const before = files(join(folder, 'node_modules'));
    const stdout = succeed(folder, ['npx', 'ortune', 'setup'], { ORTUNE_HOME: home });
    expect(stdout).toMatch(/^onnxruntime-node [\d.]+: done in /m);
    expect(stdout).toContain('addon: up to date');
    expect(files(join(folder, 'node_modules'))).toEqual(before);
    expect(ortune('setup', '--quiet')).toMatchObject({ status: 0, output: '' });
    const doctor = ortune('doctor');
    expect(doctor.stdout).toMatch(/^ok {7}onnxruntime-node +[\d.]+ loads$/m);
    expect(doctor.stdout).toContain('Training can work.');
    expect(doctor.status).toBe(0);
  });

  test('the commands build, train and predict', { timeout: 300_000 }, () => {
    const small = ['--width', '0.25', '--image-size', '32', '--classes', String(FLOWER_CLASSES.length)];
    const all = ['--data', 'photos', '--passes', '1'];
    for (const words of [
      ['build-graph', '--recipe', 'tutorial', ...small],
      ['pretrain', '--weights', 'none', ...all],
      ['finetune', ...all],
    ]) {
      expect(ortune(...words)).toMatchObject({ status: 0 });
    }
    const predicted = ortune('predict', '--json', photo);
    expect(predicted).toMatchObject({ status: 0, stdout: expect.stringContaining(photo) });
  });

  test('the examples type-check under NodeNext, and run compiled', { timeout: 300_000 }, () => {
    for (const name of ['@types/node', 'undici-types']) {
      cpSync(join(root, 'node_modules', name), join(folder, 'node_modules', name), { recursive: true });
    }
    cpSync(join(root, 'examples'), join(folder, 'examples'), { recursive: true });
    const compilerOptions = {
      module: 'nodenext',
      target: 'es2023',
      strict: true,
      rootDir: 'examples',
      outDir: 'out',
      types: ['node'],
    };
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['examples'] }));
    succeed(folder, ['node', join(root, 'node_modules/typescript/bin/tsc')]);
    const program = (name: string, ...words: string[]) =>
      succeed(folder, ['node', `out/${name}.js`, ...words], { ORTUNE_HOME: home });
    expect(program('custom-loop', 'photos')).toContain('on unseen pictures: loss');
    expect(program('predict', 'models/infer_model', photo)).toMatch(/^photos\S+: \w+ [\d.]+ %/);
  });

  test('the addon of a platform package takes the place of one that is built', { timeout: 120_000 }, () => {
    const made = succeed(root, ['node', 'scripts/platform-package.mjs', join(work, 'platform')]).trim();
    symlinkSync(made, join(folder, 'node_modules', made.split('/').at(-1) ?? ''));
    rmSync(join(home, 'ortune.node'));
    expect(ortune('setup')).toMatchObject({ status: 0, stdout: expect.stringContaining('addon: up to date') });
    expect(ortune('doctor').stdout).toMatch(/^ok {7}addon .*ortune\.node, prebuilt$/m);
  });
});
