/** Processes that work on request, taking turns while the others sleep. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpus } from 'node:os';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { pytorch } from '../../test/parity/setup.mjs';

/** A process that answers each line with JSON: a list of numbers, or what it is asked for. */
export class Peer {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  /** @param script beside this file: a Python one runs in PyTorch's environment */
  constructor(script: string, settings: readonly (string | number)[]) {
    const path = fileURLToPath(new URL(script, import.meta.url));
    const [command, ...args] = script.endsWith('.py')
      ? [pytorch.python, path]
      : [process.execPath, '--import', 'tsx', path];
    this.#child = spawn(command, [...args, ...settings.map(String)], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
  }

  async ask<Answer = number[]>(request: string): Promise<Answer> {
    this.#child.stdin?.write(`${request}\n`);
    const { value, done } = await this.#lines.next();
    if (done) throw new Error('a process of the benchmark has ended early; its last words stand above');
    return JSON.parse(value) as Answer;
  }

  end(): void {
    this.#child.stdin?.end();
  }

  /** Once it has ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.end();
    await ended;
  }
}

export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((left, right) => left - right);
  return ((sorted[(sorted.length - 1) >> 1] ?? 0) + (sorted[sorted.length >> 1] ?? 0)) / 2;
}

/** Whether PyTorch is there to compare with; else says how to get it. */
export function hasPytorch(): boolean {
  if (!pytorch.isReady()) console.error('Without PyTorch: node test/parity/setup.mjs makes its environment.');
  return pytorch.isReady();
}

export const machine = () => `${cpus()[0]?.model}, Node ${process.versions.node}`;

export const row = (cells: readonly string[]) => console.log(`| ${cells.join(' | ')} |`);

export function header(cells: readonly string[]): void {
  row(cells);
  row(cells.map(() => '---'));
}
