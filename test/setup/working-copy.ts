import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { onTestFinished } from 'vitest';

export const root = fileURLToPath(new URL('../../', import.meta.url));

/** Imports a module of scripts/setup: plain JavaScript, so that the test says which types it expects. */
export async function importSetup<T>(name: string): Promise<T> {
  return (await import(pathToFileURL(join(root, 'scripts/setup', name)).href)) as T;
}

/** An empty folder, deleted after the test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'ortune-setup-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/**
 * The project as a fresh clone has it, as far as setup reads it. With `ready`, packages and addon are taken over from here, so
 * that only the library is missing.
 */
export function workingCopy({ ready }: { ready: boolean }): string {
  const copy = temporaryFolder();
  mkdirSync(join(copy, 'native/runtime'), { recursive: true });
  const native = ['runtime.json', 'Cargo.toml', 'Cargo.lock', 'build.rs', 'src'].map((name) => `native/${name}`);
  const built = ready ? ['native/ortune.node', 'native/runtime/addon.json'] : [];
  for (const name of ['scripts', 'package.json', 'package-lock.json', ...native, ...built]) {
    if (existsSync(join(root, name))) cpSync(join(root, name), join(copy, name), { recursive: true });
  }
  if (ready) symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
  return copy;
}

/** Writes a stand-in for a command: a program whose body is JavaScript. Returns the folder for PATH. */
export function standIn(command: string, body: string): string {
  const folder = temporaryFolder();
  const file = join(folder, command);
  writeFileSync(file, `#!${process.execPath}\n${body}\n`);
  chmodSync(file, 0o755);
  return folder;
}

/** Of a stand-in for Maven: what every use of it begins with, and where it is to unpack, as `out`. */
export const mavenVersion = `if (process.argv.includes('--version')) { console.log('Apache Maven 3.8.7'); process.exit(); }`;
export const outputFolder = `const out = process.argv.find((a) => a.startsWith('-DoutputDirectory=')).split('=')[1];`;

export interface ScriptOptions {
  args?: string[];
  /** Folders of PATH; none by default, as on a machine without npm, cargo and Maven. */
  path?: string[];
  library?: string;
  oneDNN?: string;
}

export function scriptEnvironment({ path = [], library = '', oneDNN = '' }: ScriptOptions): NodeJS.ProcessEnv {
  // An empty PATH would make the system look in its default folders.
  const variables = { ORTUNE_HOME: '', ORTUNE_ORT_LIBRARY: library, ORTUNE_ONEDNN: oneDNN };
  return { ...process.env, PATH: path.join(':') || '/nowhere', ...variables };
}

/** Runs scripts/setup.mjs or scripts/doctor.mjs of a working copy. */
export function runScript(copy: string, script: 'setup' | 'doctor', options: ScriptOptions = {}) {
  const args = [join(copy, `scripts/${script}.mjs`), ...(options.args ?? [])];
  return spawnSync(process.execPath, args, { cwd: copy, encoding: 'utf8', env: scriptEnvironment(options) });
}
