/** A process of the benchmark that greets when it is ready, and answers each number with an object. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export class Child {
  /** Its first line. */
  readonly greeting: string;
  readonly #process: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  private constructor(process: ChildProcess, lines: AsyncIterator<string>, greeting: string) {
    this.#process = process;
    this.#lines = lines;
    this.greeting = greeting;
  }

  static async start(script: string, args: readonly string[]): Promise<Child> {
    const path = fileURLToPath(new URL(script, import.meta.url));
    const child = spawn(process.execPath, ['--import', 'tsx', path, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    return new Child(child, lines, await nextOf(lines));
  }

  async ask<T>(request: number): Promise<T> {
    this.#process.stdin?.write(`${request}\n`);
    return JSON.parse(await nextOf(this.#lines)) as T;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#process, 'exit');
    this.#process.stdin?.end();
    await ended;
  }
}

async function nextOf(lines: AsyncIterator<string>): Promise<string> {
  const { value, done } = await lines.next();
  if (done) throw new Error('a process of the benchmark has ended early; its last words stand above');
  return value;
}
