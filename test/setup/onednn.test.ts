// oneDNN is optional: whatever keeps it from being there, setup ends well and says so in one line.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { locateKernels } from '../../src/runtime/index.ts';
import {
  importSetup,
  mavenVersion,
  outputFolder,
  root,
  runScript,
  type ScriptOptions,
  scriptEnvironment,
  standIn,
  workingCopy,
} from './working-copy.ts';

const { addonIsCurrent } = await importSetup<{ addonIsCurrent(): boolean }>('addon.mjs');

const here = join(root, 'native/runtime');
const folder = 'onednn-linux-x86_64';
const read = (path: string) => JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
const { variant, wish } = existsSync(join(here, 'current.json')) ? read(join(here, 'current.json')) : {};
const onLinuxX64 = process.platform === 'linux' && process.arch === 'x64';
const isReady = addonIsCurrent() && onLinuxX64 && variant === 'linux-x86_64';

/** Of a checkout that was set up when there was no oneDNN yet. */
function copyWithLibrary() {
  const copy = workingCopy({ ready: true });
  const runtime = join(copy, 'native/runtime');
  symlinkSync(join(here, 'linux-x86_64'), join(runtime, 'linux-x86_64'));
  const { kernels: _, ...current } = read(join(here, 'current.json'));
  writeFileSync(join(runtime, 'current.json'), JSON.stringify(current));
  return {
    copy,
    runtime,
    kernels: () => read(join(runtime, 'current.json'))['kernels'],
    run: (script: 'setup' | 'doctor', options: ScriptOptions = {}) => {
      const flags = script === 'setup' && wish !== 'auto' ? [`--${wish}`] : [];
      return runScript(copy, script, { ...options, args: [...flags, ...(options.args ?? [])] });
    },
  };
}

/** A stand-in for Maven that unpacks these, a statement for each file of the jar. */
const maven = (...files: string[]) =>
  standIn(
    'mvn',
    `${mavenVersion} ${outputFolder}
    const fs = require('node:fs');
    const jar = out + '/org/bytedeco/dnnl/linux-x86_64/';
    fs.mkdirSync(jar, { recursive: true });
    ${files.join('\n')}`,
  );
const real = ['libdnnl.so.3', 'libgomp.so.1'].map(
  (name) => `fs.symlinkSync('${join(here, folder, name)}', jar + '${name}');`,
);

// `npm test` makes all of it; without it only these are left out.
describe.skipIf(!isReady)('oneDNN', () => {
  test.each([
    ['without Maven', [], /`mvn` was not found/],
    [
      'when Maven fails, with its own reason',
      [`console.log('[INFO] a\\n[ERROR] no route to host -> [Help 1]\\n[ERROR] [Help 1] page'); process.exit(3);`],
      /\(no route to host\)/,
    ],
    // SHA-256 of "abc", FIPS 180-4.
    ['when the checksum is another', [`fs.writeFileSync(jar + 'libdnnl.so.3', 'abc');`], /got ba7816bf8f01cfea/],
  ])('%s, setup goes on, and tries again only when it is asked for itself', (_, files, reason) => {
    const { run, runtime, kernels } = copyWithLibrary();
    const path = files.length === 0 ? [] : [maven(...files)];
    const line = /^oneDNN 3\.11: not there \(.*\); training on the CPU uses the stock kernels\n$/;
    // As before every command.
    const { status, stdout, stderr } = run('setup', { args: ['--quiet'], path });
    expect(stderr).toBe('');
    expect(status).toBe(0);
    expect(stdout).toMatch(line);
    expect(stdout).toMatch(reason);
    expect(readdirSync(runtime)).toEqual(['addon.json', 'current.json', 'linux-x86_64']);
    expect(kernels()).toMatchObject({ absent: 'failed' });

    expect(run('setup', { args: ['--quiet'], path }).stdout).toBe('');
    expect(run('setup', { path }).stdout).toMatch(/^oneDNN 3\.11: not there/m);
    expect(locateKernels(runtime, undefined)).toBeUndefined();
  });

  test('stopped while it is fetched, setup has not failed to fetch it', async () => {
    const { copy, runtime, kernels } = copyWithLibrary();
    const path = [maven(`fs.writeFileSync('started', ''); setTimeout(() => {}, 10_000);`)];
    const flags = wish === 'auto' ? [] : [`--${wish}`];
    const child = spawn(process.execPath, [join(copy, 'scripts/setup.mjs'), ...flags], {
      env: scriptEnvironment({ path }),
    });
    const started = () => readdirSync(runtime).some((name) => existsSync(join(runtime, name, 'maven/started')));
    while (!started()) await sleep(20);
    child.kill('SIGTERM');
    expect((await once(child, 'exit'))[0]).toBe(143);
    expect(kernels()).toBeUndefined();
    expect(readdirSync(runtime)).toEqual(['addon.json', 'current.json', 'linux-x86_64']);
  });

  test('ORTUNE_ONEDNN=0 leaves it out and asks nobody, which is remembered and told', () => {
    const { run, kernels } = copyWithLibrary();
    const line = 'oneDNN 3.11: left out, as ORTUNE_ONEDNN=0 asks; training on the CPU uses the stock kernels\n';
    const { status, stdout } = run('setup', { args: ['--quiet'], oneDNN: '0' });
    expect([status, stdout]).toEqual([0, line]);
    expect(kernels()).toEqual({ absent: 'off' });
    expect(run('setup', { args: ['--quiet'] })).toMatchObject({ status: 0, stdout: '' });
    expect(run('setup').stdout).toContain('left out, as ORTUNE_ONEDNN=0 asked; ORTUNE_ONEDNN=1 undoes it');
    expect(run('doctor').stdout).toMatch(/^note {5}oneDNN +left out, as ORTUNE_ONEDNN=0 asked/m);
    expect(run('setup', { oneDNN: '1' }).stdout).toContain('`mvn` was not found');
  });

  test.skipIf(!existsSync(join(here, folder)))('it is unpacked, named, found, and looked after by the doctor', () => {
    const { run, runtime } = copyWithLibrary();
    const fetched = run('setup', { path: [maven(...real)] });
    expect(fetched.stdout).toMatch(/^oneDNN 3\.11: done in/m);
    expect(readdirSync(join(runtime, folder))).toEqual(['libdnnl.so.3', 'libgomp.so.1', 'manifest.json']);
    expect(locateKernels(runtime, undefined)).toBe(join(runtime, folder, 'libdnnl.so.3'));
    expect(run('setup').stdout).toMatch(/^oneDNN 3\.11: up to date$/m);
    expect(run('doctor').stdout).toMatch(/^ok {7}oneDNN .*checksums right/m);

    const openMp = join(runtime, folder, 'libgomp.so.1');
    rmSync(openMp);
    writeFileSync(openMp, 'abc');
    const doctor = run('doctor');
    expect(doctor.stdout).toMatch(
      /^PROBLEM {2}oneDNN +libgomp\.so\.1 missing or changed.*delete native\/runtime\/onednn/m,
    );
    expect(doctor.status).toBe(1);
    // By its size, setup sees that, too.
    expect(run('setup', { args: ['--quiet'], path: [maven(...real)] }).stdout).toMatch(/^oneDNN 3\.11: done in/);
  });
});
