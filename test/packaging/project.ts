import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../../', import.meta.url));

/** Where no package's install script can fetch anything: npm itself does not read this variable. */
const blocked = { GLOBAL_AGENT_HTTPS_PROXY: 'http://127.0.0.1:9', GLOBAL_AGENT_HTTP_PROXY: 'http://127.0.0.1:9' };

/** Runs a command to its end, without the settings that `npm test` hands down. */
export function run(cwd: string, [program = '', ...args]: readonly string[], env: Record<string, string> = {}) {
  const own = Object.entries(process.env).filter(([name]) => !/^(npm_|ORTUNE_HOME$|ORTUNE_ORT_LIBRARY$)/i.test(name));
  const { status, stdout, stderr } = spawnSync(program, args, {
    cwd,
    encoding: 'utf8',
    env: { ...Object.fromEntries(own), ...blocked, NO_COLOR: '1', ...env },
  });
  return { status, stdout, stderr, output: stdout + stderr };
}

/** As {@link run}, but anything other than success is an error. */
export function succeed(cwd: string, command: readonly string[], env?: Record<string, string>): string {
  const { status, stdout, output } = run(cwd, command, env);
  if (status !== 0) throw new Error(`${command.join(' ')}\nended with ${status}:\n${output}`);
  return stdout;
}

/** Builds and packs ortune. @returns the tarball's path */
export function pack(folder: string): string {
  succeed(root, ['npm', 'pack', '--ignore-scripts=false', '--silent', '--pack-destination', folder]);
  return join(folder, readdirSync(folder).find((name) => name.endsWith('.tgz')) ?? '');
}

/** An empty project that has installed some packages, with what npm has in its cache before what it would fetch. */
export function project(folder: string, packages: readonly string[], flags: readonly string[] = []): string {
  mkdirSync(folder);
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'photos', private: true, type: 'module' }));
  succeed(folder, ['npm', 'install', '--prefer-offline', '--no-audit', '--no-fund', ...flags, ...packages]);
  return folder;
}

/** A home for `ORTUNE_HOME` in which setup finds what this checkout's has built and fetched. */
export function homeOfCheckout(folder: string): string {
  const native = join(root, 'native');
  mkdirSync(join(folder, 'runtime'), { recursive: true });
  cpSync(join(native, 'ortune.node'), join(folder, 'ortune.node'));
  for (const name of readdirSync(join(native, 'runtime'))) {
    const [from, to] = [join(native, 'runtime', name), join(folder, 'runtime', name)];
    if (name.endsWith('.json')) cpSync(from, to);
    else if (!name.startsWith('.')) symlinkSync(from, to);
  }
  return folder;
}
