import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export interface Outcome {
  /** Exit code, or the signal that ended the process. */
  readonly code: number | NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export type CommandName =
  | 'build-graph'
  | 'check-data'
  | 'download'
  | 'evaluate'
  | 'export'
  | 'finetune'
  | 'inspect'
  | 'predict'
  | 'pretrain'
  | 'preview'
  | 'report'
  | 'serve';

/** The executable. */
export const ORTUNE = fileURLToPath(new URL('../../scripts/ortune.mjs', import.meta.url));

/** What `npx ortune` starts. */
export function commandLine(command: CommandName, args: readonly string[]): string[] {
  return [process.execPath, ORTUNE, command, ...args];
}

/**
 * Runs a command in a process of its own, in the folder `cwd`.
 *
 * @param watch gets the process once it runs, to disturb it
 */
export function runCommand(
  cwd: string,
  command: CommandName,
  args: readonly string[],
  options: { watch?(child: ChildProcess): void; env?: Record<string, string> } = {},
): Promise<Outcome> {
  return runProcess(cwd, commandLine(command, args), options);
}

/** Runs any process; see {@link runCommand}. */
export async function runProcess(
  cwd: string,
  [program, ...args]: readonly string[],
  { watch, env }: { watch?(child: ChildProcess): void; env?: Record<string, string> } = {},
): Promise<Outcome> {
  const child = spawn(program as string, args, {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  watch?.(child);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code: code ?? signal, stdout, stderr }));
  });
}

/** All that the process has written to its standard output, once `text` is in it. */
export function untilPrinted(child: ChildProcess, text: string): Promise<string> {
  return new Promise((resolve) => {
    let seen = '';
    child.stdout?.on('data', (part) => {
      seen += part;
      if (seen.includes(text)) resolve(seen);
    });
  });
}
