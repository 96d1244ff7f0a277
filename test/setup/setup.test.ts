import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import {
  importSetup,
  mavenVersion,
  outputFolder,
  root,
  runScript,
  scriptEnvironment,
  standIn,
  workingCopy,
} from './working-copy.ts';

const { addonIsCurrent } = await importSetup<{ addonIsCurrent(): boolean }>('addon.mjs');

describe('in a fresh clone without tools', () => {
  test('setup names all that is missing and what to install, and makes nothing', () => {
    const copy = workingCopy({ ready: false });
    const { status, stderr } = runScript(copy, 'setup', { args: ['--cpu'] });
    expect(status).toBe(1);
    expect(stderr).toMatch(/npm.*`npm` was not found.*nodejs\.org/);
    expect(stderr).toMatch(/Rust \(cargo\).*`cargo` was not found.*rustup/);
    if (process.platform === 'linux') expect(stderr).toMatch(/Maven \(mvn\).*`mvn` was not found.*apt install maven/);
    expect(readdirSync(join(copy, 'native/runtime'))).toEqual([]);
  });

  test('a Rust that is too old is named with its version, a Maven without Java with its complaint', () => {
    const copy = workingCopy({ ready: false });
    const cargo = standIn('cargo', 'console.log("cargo 1.63.0")');
    const mvn = standIn(
      'mvn',
      'console.error("The JAVA_HOME environment variable is not defined correctly"); process.exit(1)',
    );
    const { stderr } = runScript(copy, 'setup', { args: ['--cpu'], path: [cargo, mvn] });
    expect(stderr).toMatch(/cargo 1\.63\.0 is older than 1\.\d+/);
    expect(stderr).toContain('fails with "The JAVA_HOME environment variable is not defined correctly"');
  });

  test('doctor says what is not there and ends with 1', () => {
    const { status, stdout } = runScript(workingCopy({ ready: false }), 'doctor');
    expect(status).toBe(1);
    for (const name of ['packages', 'sharp', 'addon', 'library', 'training']) {
      expect(stdout).toMatch(new RegExp(`^PROBLEM  ${name} `, 'm'));
    }
    expect(stdout).toMatch(/^note {5}oneDNN +not set up/m);
  });
});

describe('options', () => {
  test.each([
    [['--cudda'], 'unknown option --cudda; known are --cpu, --cuda, --quiet, --help'],
    [['--cpu', '--cuda'], '--cpu and --cuda exclude each other'],
  ])('%j is refused', (args, message) => {
    const { status, stderr } = runScript(root, 'setup', { args });
    expect(status).toBe(1);
    expect(stderr).toContain(message);
  });

  test('--help names them', () => {
    const { status, stdout } = runScript(root, 'setup', { args: ['--help'] });
    expect(status).toBe(0);
    expect(stdout).toMatch(/--cuda .*--cpu .*--quiet .*ORTUNE_ORT_LIBRARY.*ORTUNE_ONEDNN=0/s);
  });
});

// `npm test` builds the addon first; without it only these are left out.
describe.skipIf(!addonIsCurrent() || process.platform !== 'linux')('the library', () => {
  test('a download with another checksum is refused and leaves nothing', () => {
    const copy = workingCopy({ ready: true });
    const write = `
      const fs = require('node:fs'), path = require('node:path');
      const variant = /jar:([\\w-]+)/.exec(process.argv.join(' '))[1];
      const folder = path.join(out, 'org/bytedeco/onnxruntime', variant);
      fs.mkdirSync(folder, { recursive: true });
      fs.writeFileSync(path.join(folder, 'libonnxruntime.so.1'), 'abc');`;
    const { status, stderr } = runScript(copy, 'setup', {
      args: ['--cpu'],
      path: [standIn('mvn', mavenVersion + outputFolder + write)],
    });
    expect(status).toBe(1);
    // SHA-256 of "abc", FIPS 180-4.
    expect(stderr).toMatch(
      /expected SHA-256 [0-9a-f]{64}, got ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad/,
    );
    expect(readdirSync(join(copy, 'native/runtime'))).toEqual(['addon.json']);
  });

  test("a failing Maven's output is shown", () => {
    const mvn = standIn('mvn', `${mavenVersion} console.log('[ERROR] no route to host'); process.exit(3)`);
    const { status, stderr } = runScript(workingCopy({ ready: true }), 'setup', { args: ['--cpu'], path: [mvn] });
    expect(status).toBe(1);
    expect(stderr).toMatch(/failed with exit code 3. Its output:\n {2}\| \[ERROR\] no route to host/);
  });

  test.each([
    ['SIGTERM', 143, ['addon.json']],
    ['SIGKILL', null, ['.lock', 'addon.json', 'linux-*.tmp-N']],
  ] as const)('stopped by %s, it leaves nothing that counts as done', async (signal, exitCode, left) => {
    const copy = workingCopy({ ready: true });
    const mvn = standIn(
      'mvn',
      `${mavenVersion} require('node:fs').writeFileSync('started', ''); setTimeout(() => {}, 3000);`,
    );
    const child = spawn(process.execPath, [join(copy, 'scripts/setup.mjs'), '--cpu'], {
      env: scriptEnvironment({ path: [mvn] }),
    });
    const runtime = join(copy, 'native/runtime');
    const started = () => readdirSync(runtime).some((name) => existsSync(join(runtime, name, 'maven/started')));
    while (!started()) await sleep(20);
    child.kill(signal);
    expect((await once(child, 'exit'))[0]).toBe(exitCode);
    const names = readdirSync(runtime).map((name) => name.replace(/linux-\w+\.tmp-\d+/, 'linux-*.tmp-N'));
    expect(names.sort()).toEqual(left);
    // The next one waits for the Maven that was left alone, then asks for it again.
    const failing = standIn('mvn', `${mavenVersion} process.exit(3)`);
    const next = runScript(copy, 'setup', { args: ['--cpu'], path: [failing] });
    expect(next.stderr).toContain('failed with exit code 3');
    expect(next.stdout.includes('waiting for another setup')).toBe(signal === 'SIGKILL');
    expect(readdirSync(runtime)).toEqual(['addon.json']);
  });

  test("onnxruntime-node's own library is refused: it has no training API", () => {
    const copy = workingCopy({ ready: true });
    const library = join(root, `node_modules/onnxruntime-node/bin/napi-v6/linux/${process.arch}/libonnxruntime.so.1`);
    const { status, stderr } = runScript(copy, 'setup', { library });
    expect(status).toBe(1);
    expect(stderr).toContain(`${library}: this is ONNX Runtime 1.30.0 without the training API`);
    expect(readdirSync(join(copy, 'native/runtime'))).toEqual(['addon.json']);
  });

  test.each([
    ['/no/such/library.so', 'there is no such file'],
    [root, 'that is not a file'],
    [join(root, 'package.json'), 'this is not a shared library for linux-'],
  ])('ORTUNE_ORT_LIBRARY=%s is refused', (library, reason) => {
    const { status, stderr } = runScript(workingCopy({ ready: true }), 'setup', { library });
    expect(status).toBe(1);
    expect(stderr).toContain(`ORTUNE_ORT_LIBRARY=${library.replace(/\/$/, '')}: ${reason}`);
  });
});
