import { type DownloadSource, download, SOURCES, sourceOf } from '../download/index.ts';
import { DownloadReport } from '../download/report.ts';
import { OrtuneError } from '../errors.ts';
import type { Command } from './run.ts';
import { Interrupted } from './stage.ts';

interface Options {
  to: string | undefined;
  unpack: boolean;
}

export const downloadCommand = commandFor(SOURCES);

/** The command for a choice of sources. */
export function commandFor(sources: readonly DownloadSource[]): Command<Options> {
  const width = Math.max(...sources.map(({ name }) => name.length));
  const list = sources.map(({ name, title, to }) => `  ${name.padEnd(width)}  ${title} (${to})`).join('\n');
  return {
    usage:
      `npx ortune download NAME [--to DIR]\n\n${list}\n\n` +
      'Stopped or cut off, the same command goes on where it was. What is there already is checked and kept.',
    positionals: 'some',
    flags: {
      to: { type: 'string', describe: 'Folder that the files go to; the one in brackets by default' },
      unpack: {
        type: 'boolean',
        default: false,
        describe: "Also unpack flowers102's pictures, which are read as they are",
      },
    },
    handle: async ({ _: names, to, unpack }) => {
      const [name, ...more] = names;
      if (name === undefined || more.length > 0) {
        throw new OrtuneError('OPTION', `expected one name, received ${names.length}. See --help.`);
      }
      const source = sourceOf(name, sources);
      await untilStopped(async (signal) => {
        const report = new DownloadReport();
        try {
          const folder = to ?? source.to;
          await download(source, { to: folder, unpack, signal, onEvent: report.handle });
          report.line(`To use it: ${source.use(folder)}`);
        } finally {
          report.close();
        }
      });
    },
  };
}

/** Ctrl-C and `kill` stop the work in order; a second one ends the process at once. */
async function untilStopped(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const interrupt = new AbortController();
  const stop = (signal: NodeJS.Signals) => {
    release();
    interrupt.abort(new DownloadStopped(signal as 'SIGINT' | 'SIGTERM'));
  };
  const release = () => {
    process.removeListener('SIGINT', stop);
    process.removeListener('SIGTERM', stop);
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  try {
    await work(interrupt.signal);
  } finally {
    release();
  }
}

class DownloadStopped extends Interrupted {
  constructor(signal: 'SIGINT' | 'SIGTERM') {
    super(signal);
    this.message = `stopped by ${signal === 'SIGINT' ? 'Ctrl-C' : signal}; the same command goes on from here`;
  }
}
