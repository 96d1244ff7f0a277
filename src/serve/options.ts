import { OrtuneError } from '../errors.ts';

/** What is served, where, and within which limits. */
export interface ServeOptions {
  /** Folder that `finetune` wrote, or its `.onnx` file. */
  readonly model: string;
  /**
   * Address to listen on. By default this machine alone reaches the server; on `0.0.0.0` or `::` everybody does who
   * reaches the machine: it asks for no password and speaks no TLS.
   */
  readonly host?: string;
  /** 0 takes any that is free. */
  readonly port?: number;
  /** Threads of the model; all there are by default. */
  readonly threads?: number;
  /** Most pictures computed at a time. */
  readonly maxBatch?: number;
  /** Most bytes of a request's body. */
  readonly maxBody?: number;
  /** Most pixels of a picture: a small file may stand for a huge one. */
  readonly maxPixels?: number;
  /** Seconds a request may take, from its first byte to the answer, and its client as long again to read that. */
  readonly timeout?: number;
  /** Requests worked on at a time, each with its body in memory. */
  readonly concurrency?: number;
  /** Requests that wait beyond those, their bodies unread; more are turned away. */
  readonly queue?: number;
  /** Told of each request once it is answered or gone. */
  readonly onRequest?: (request: RequestRecord) => void;
}

/** A request, once it is answered or gone. */
export interface RequestRecord {
  readonly method: string;
  /** The route's path, or `other`: nothing that a client may word. */
  readonly route: string;
  readonly status: number;
  readonly seconds: number;
}

export type ServeLimits = Required<Omit<ServeOptions, 'model' | 'threads' | 'onRequest'>>;

export const SERVE_DEFAULTS: ServeLimits = {
  host: '127.0.0.1',
  port: 8080,
  maxBatch: 8,
  maxBody: 16 * 2 ** 20,
  maxPixels: 50e6,
  timeout: 30,
  concurrency: 32,
  queue: 64,
};

/** What numbers may be. A body of more than 1 GiB does not fit a string, nor a timer more than 24 days. */
const RANGES: Readonly<Record<Exclude<keyof ServeLimits, 'host'>, readonly [least: number, most: number]>> = {
  port: [0, 65_535],
  maxBatch: [1, 1024],
  maxBody: [1, 2 ** 30],
  maxPixels: [1, 2 ** 28],
  timeout: [1, 86_400],
  concurrency: [1, 4096],
  queue: [0, 65_536],
};

/** The options with defaults for what was left out. @throws OrtuneError `OPTION` */
export function serveLimits(options: ServeOptions): ServeLimits {
  const given = Object.entries(options).filter(([name, value]) => name in SERVE_DEFAULTS && value !== undefined);
  const limits: ServeLimits = { ...SERVE_DEFAULTS, ...Object.fromEntries(given) };
  for (const name of Object.keys(RANGES) as (keyof typeof RANGES)[]) {
    const [least, most] = RANGES[name];
    const value = limits[name];
    if (Number.isSafeInteger(value) && value >= least && value <= most) continue;
    throw new OrtuneError('OPTION', `${name}: expected a whole number from ${least} to ${most}, received ${value}`);
  }
  return limits;
}
