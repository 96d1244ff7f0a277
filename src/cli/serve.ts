import { isIP } from 'node:net';
import { type RequestRecord, SERVE_DEFAULTS, serve } from '../serve/index.ts';
import { FINETUNE_DEFAULTS } from '../training/options.ts';
import type { Command } from './run.ts';
import { checkWhole } from './whole.ts';

interface Options {
  model: string;
  host: string;
  port: number;
  threads: number | undefined;
  maxBatch: number;
  maxBody: number;
  maxPixels: number;
  timeout: number;
  concurrency: number;
  queue: number;
  verbose: boolean;
}

const MIB = 2 ** 20;
const MEGAPIXEL = 1e6;

export const serveCommand: Command<Options> = {
  usage: 'npx ortune serve [--model DIR]\n\nServes a model by HTTP: POST /predict, and a page to try it.',
  flags: {
    model: {
      type: 'string',
      default: FINETUNE_DEFAULTS.out,
      describe: 'Folder (or .onnx file) of npx ortune finetune',
    },
    host: {
      type: 'string',
      default: SERVE_DEFAULTS.host,
      describe: 'Address to listen on; 0.0.0.0 lets in everybody who reaches this machine, without password or TLS',
    },
    port: { type: 'number', default: SERVE_DEFAULTS.port, describe: '0 takes any that is free' },
    threads: { type: 'number', describe: 'Threads of the model; all there are by default' },
    'max-batch': { type: 'number', default: SERVE_DEFAULTS.maxBatch, describe: 'Most pictures computed at a time' },
    'max-body': { type: 'number', default: SERVE_DEFAULTS.maxBody / MIB, describe: 'Most MiB of a request' },
    'max-pixels': {
      type: 'number',
      default: SERVE_DEFAULTS.maxPixels / MEGAPIXEL,
      describe: 'Most megapixels of a picture',
    },
    timeout: { type: 'number', default: SERVE_DEFAULTS.timeout, describe: 'Seconds a request may take' },
    concurrency: { type: 'number', default: SERVE_DEFAULTS.concurrency, describe: 'Requests worked on at a time' },
    queue: { type: 'number', default: SERVE_DEFAULTS.queue, describe: 'Requests that wait beyond those; more get 503' },
    verbose: { type: 'boolean', default: false, describe: 'A line for each request on standard error' },
  },
  handle: async ({
    maxBody,
    maxPixels,
    threads,
    verbose,
    model,
    host,
    port,
    maxBatch,
    timeout,
    concurrency,
    queue,
  }) => {
    checkWhole({ port, queue }, 0);
    checkWhole({ 'max-batch': maxBatch, 'max-body': maxBody, 'max-pixels': maxPixels, timeout, concurrency }, 1);
    const limits = { maxBatch, maxBody: maxBody * MIB, maxPixels: maxPixels * MEGAPIXEL, timeout, concurrency, queue };
    const server = await serve({
      ...{ model, host, port, ...limits },
      ...(threads !== undefined && { threads }),
      ...(verbose && { onRequest: log }),
    });
    console.log(`Serving ${model} (${server.classes.length} classes): ${server.url}`);
    console.log(`Try: curl -F picture=@photo.jpg ${server.url}/predict`);
    if (!isLoopback(host)) {
      console.error(`Anybody who reaches this machine at ${host} may use it: there is no password and no TLS.`);
    }
    await stopSignal();
    console.error('Finishing what runs; Ctrl-C again ends at once.');
    await server.close();
  },
};

const log = ({ method, route, status, seconds }: RequestRecord) =>
  console.error(`${new Date().toISOString()} ${method} ${route} ${status} ${(seconds * 1000).toFixed(1)} ms`);

const isLoopback = (host: string) =>
  host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));

/** Resolves at Ctrl-C or `kill`. The listeners go with it, so that a second one ends the process. */
function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    const stop = () => {
      process.off('SIGINT', stop).off('SIGTERM', stop);
      resolve();
    };
    process.on('SIGINT', stop).on('SIGTERM', stop);
  });
}
