import cliProgress from 'cli-progress';
import type { DownloadEvent } from './events.ts';

/** Shows a download: a line for what happens, and on a terminal a bar of the bytes on standard error. */
export class DownloadReport {
  #bar: cliProgress.SingleBar | undefined;

  readonly handle = (event: DownloadEvent): void => {
    switch (event.type) {
      case 'start':
        this.#closeBar();
        this.line(
          `Fetching: ${event.file}${event.total === undefined ? '' : ` (${megabytes(event.total)})`}` +
            (event.from > 0 ? `, going on at ${megabytes(event.from)}` : ''),
        );
        if (process.stderr.isTTY && event.total !== undefined) this.#openBar(event.total, event.from);
        break;
      case 'progress':
        this.#bar?.update(event.received);
        break;
      case 'retry':
        this.#closeBar();
        this.line(`Broken off: ${event.file}: ${event.reason}; again in ${event.seconds} s`);
        break;
      case 'restart':
        this.#closeBar();
        this.line(`From the start: ${event.file}: ${event.reason}`);
        break;
      case 'done': {
        this.#closeBar();
        const { file, bytes, present, verified, sha256 } = event;
        const check = verified ? 'checksum agrees' : `no checksum is published; its sha256 is ${sha256}`;
        this.line(`${present ? 'There already' : 'Fetched'}: ${file} (${megabytes(bytes)}), ${check}`);
        break;
      }
      case 'unpacked':
        this.line(
          event.present
            ? `There already: ${event.folder}, left as it is`
            : `Unpacked: ${event.entries} files, ${event.folder}`,
        );
        break;
    }
  };

  line(text: string): void {
    process.stdout.write(`${text}\n`);
  }

  /** Removes the bar; call it when the download ends, however it does. */
  close(): void {
    this.#closeBar();
  }

  #openBar(total: number, from: number): void {
    this.#bar = new cliProgress.SingleBar(
      {
        format: '{bar} {percentage} % | {eta_formatted} left',
        barsize: 30,
        clearOnComplete: true,
        // Would take SIGTERM for itself and leave the program running.
        gracefulExit: false,
        stream: process.stderr,
      },
      cliProgress.Presets.shades_classic,
    );
    this.#bar.start(total, from);
  }

  #closeBar(): void {
    this.#bar?.stop();
    this.#bar = undefined;
  }
}

const megabytes = (bytes: number) => (bytes < 1e5 ? `${bytes} bytes` : `${(bytes / 1e6).toFixed(1)} MB`);
