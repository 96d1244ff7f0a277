/** HTTP by hand, for what no client would send. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { RunningServer } from '../../src/serve/index.ts';
import { untilPrinted } from '../cli/command.ts';

export class RawClient {
  readonly socket: Socket;
  #text = '';

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (part) => {
      this.#text += part.toString('latin1');
    });
    // A reset is one way to be refused.
    socket.on('error', () => {});
  }

  static async connect({ url }: RunningServer): Promise<RawClient> {
    const { hostname, port } = new URL(url);
    const socket = connect({ host: hostname, port: Number(port) });
    await once(socket, 'connect');
    return new RawClient(socket);
  }

  /** All that has come. */
  get text(): string {
    return this.#text;
  }

  send(data: string | Uint8Array): void {
    this.socket.write(data);
  }

  /** Waits until something like this has come. */
  async until(pattern: RegExp): Promise<string> {
    while (!pattern.test(this.#text)) {
      if (this.socket.closed) throw new Error(`closed after: ${this.#text}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return this.#text;
  }

  /** Waits until the server has ended the connection. */
  async ended(): Promise<string> {
    if (!this.socket.closed) await once(this.socket, 'close');
    return this.#text;
  }
}

/** The server that a process is, once it says where it listens; it ends with the process. */
export async function servedBy(child: ChildProcess): Promise<RunningServer> {
  const [, url] = /Try: .* (http:\S+)\/predict/.exec(await untilPrinted(child, '/predict')) ?? [];
  return { url: url as string, classes: [], close: async () => {} };
}

/** The head of an upload of so many bytes. */
export const uploadHead = (length: number, more = '') =>
  `POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: image/png\r\nContent-Length: ${length}\r\n${more}\r\n`;

/** The value of a metric, summed over its labels; 0 for one that is not there. */
export async function metric({ url }: RunningServer, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const lines = text.split('\n').filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

export async function untilMetric(server: RunningServer, name: string, value: number): Promise<void> {
  while ((await metric(server, name)) !== value) await new Promise((resolve) => setTimeout(resolve, 10));
}
