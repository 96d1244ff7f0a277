/** Runs npm, Maven, cargo and the library check, keeping their output for the case that they fail. */
import { spawn } from 'node:child_process';
import { CommandFailed, Interrupted } from './errors.mjs';
import { root } from './paths.mjs';

/** @type {import('node:child_process').ChildProcess | undefined} */
let running;
/** @type {'SIGINT' | 'SIGTERM' | undefined} */
let interrupted;
/** @type {(pid: number | undefined) => void} */
let onChild = () => {};

/**
 * From now on a signal ends setup in order: the running command is stopped and waited for, then `runCommand` throws
 * `Interrupted`. A second signal ends it at once, which is safe too, only less tidy.
 * @param {(pid: number | undefined) => void} observer told of each command's process, and of its end
 */
export function watchSignals(observer) {
  onChild = observer;
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM'])) {
    process.on(signal, () => {
      if (interrupted || !running) process.exit(new Interrupted(signal).exitCode);
      interrupted = signal;
      // A terminal sends Ctrl-C to the command as well; other senders know only us.
      running.kill(signal);
    });
  }
}

/**
 * Runs a command to its end.
 * @param {string} command
 * @param {string[]} args
 * @param {{ cwd?: string, env?: Record<string, string>, hint?: (output: string) => string }} [options] `env` goes before the
 *   variables of this process; `hint` adds what to do to a failure's message
 * @returns {Promise<string>} its standard output
 * @throws {CommandFailed} with the command's output
 */
export async function runCommand(command, args, options = {}) {
  const child = spawn(command, args, {
    cwd: options.cwd ?? root,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running = child;
  onChild(child.pid);
  let stdout = '';
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    stdout += text;
    output += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    output += text;
  });
  let killed = false;
  /** @type {string} */
  const failure = await new Promise((resolve) => {
    child.on('error', (error) => resolve(`cannot be started: ${error.message}`));
    child.on('close', (code, signal) => {
      killed = signal !== null;
      resolve(code === 0 ? '' : signal ? `was ended by ${signal}` : `failed with exit code ${code}`);
    });
  });
  running = undefined;
  onChild(undefined);
  if (interrupted) throw new Interrupted(interrupted);
  if (failure === '') return stdout;
  const call = [command, ...args].join(' ');
  // What a crash kept from being finished tells nothing of it: the last line may well be a success's.
  const reason = (killed ? '' : output.trim().split('\n').at(-1)) || failure;
  throw new CommandFailed(
    `${call}\n${failure}. Its output:\n${excerpt(output)}${options.hint?.(output) ?? ''}`,
    reason,
  );
}

/** Both ends of a long output: npm names the reason first, Maven and cargo last. @param {string} output */
function excerpt(output) {
  const lines = output.trim().split('\n');
  const [head, tail] = [12, 20];
  if (lines.length > head + tail) lines.splice(head, lines.length - head - tail, '...');
  return lines.map((line) => `  | ${line}`).join('\n');
}
