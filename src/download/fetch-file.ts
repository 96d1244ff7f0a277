/** One file from the network into its place: continued where it stopped, tried again, checked, and only then named. */
import { open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { OrtuneError } from '../errors.ts';
import { outputError } from '../output-error.ts';
import { type Digests, digestsOf, fits } from './checksum.ts';
import type { EmitDownload } from './events.ts';
import { type Answer, HttpError, request } from './http.ts';
import { type Origin, PartFile } from './part-file.ts';
import { LARGEST_FILE, type SourceFile } from './sources.ts';

export interface FetchOptions {
  readonly emit: EmitDownload;
  readonly signal?: AbortSignal | undefined;
  /** Waits before the further attempts, in ms; they start over whenever bytes have come. */
  readonly backoffMs?: readonly number[];
  /** A connection that is silent for so long counts as broken. */
  readonly idleMs?: number;
  /** The most bytes that a file may have. */
  readonly limit?: number;
}

const BACKOFF_MS = [1_000, 2_000, 4_000, 8_000, 16_000];
const IDLE_MS = 30_000;
/** A server may ask for patience, but not for an evening. */
const LONGEST_WAIT_MS = 60_000;
/** There is no way to the server at all; who is offline should not be kept waiting to hear it. */
const NO_WAY = new Set(['ENOTFOUND', 'EAI_AGAIN', 'ECONNREFUSED', 'ENETUNREACH', 'EHOSTUNREACH', 'ENETDOWN']);
const MOST_WITHOUT_WAY = 2;
const BUSY = new Set([408, 425, 429, 500, 502, 503, 504]);

/** An attempt failed in a way that the next may not. */
class Broken extends Error {
  readonly waitMs: number | undefined;

  constructor(message: string, { cause, waitMs }: { cause?: unknown; waitMs?: number | undefined } = {}) {
    super(message, { cause });
    this.waitMs = waitMs;
  }
}

/**
 * @param target path of the finished file; until then there are `.part` and `.part.json` beside it, which a later call
 *   goes on with
 * @returns length and digests of what came
 * @throws OrtuneError `DOWNLOAD_UNREACHABLE` without a connection, `DOWNLOAD_REFUSED` for an answer that is not the
 *   file, `DOWNLOAD_CHECKSUM`, `DOWNLOAD_BUSY`, `OUTPUT` when the disk refuses; the signal's reason when aborted
 */
export async function fetchFile(file: SourceFile, target: string, options: FetchOptions): Promise<Digests> {
  const part = await PartFile.open(target).catch((error: unknown) => {
    throw outputError(target, error);
  });
  try {
    const resumed = await receive(file, part, options);
    let digests = await digestsOf(part.path, options.signal);
    if (!fits(digests, file.checksum) && resumed) {
      // Two halves of different files, or a part that was damaged on the disk: the whole may still be right.
      options.emit({ type: 'restart', file: file.name, reason: 'the continued file has another checksum' });
      await part.discard();
      await receive(file, part, options);
      digests = await digestsOf(part.path, options.signal);
    }
    if (!fits(digests, file.checksum)) {
      await part.discard();
      const { algorithm, digest } = file.checksum!;
      throw new OrtuneError(
        'DOWNLOAD_CHECKSUM',
        `${file.url}: expected ${algorithm} ${digest}${algorithm === 'sha256' && digest.length < 64 ? '...' : ''}, received ${digests[algorithm]} (${digests.bytes} bytes). It was not kept.`,
      );
    }
    await part.finish(target);
    return digests;
  } catch (error) {
    // The network's own errors are told above.
    throw options.signal?.aborted ? error : outputError(target, error, 'What has come is kept.');
  } finally {
    await part.close();
  }
}

/** Attempts until the part is whole. @returns whether the last one went on from bytes that were there */
async function receive(file: SourceFile, part: PartFile, options: FetchOptions): Promise<boolean> {
  const { emit, signal, backoffMs = BACKOFF_MS } = options;
  let failures = 0;
  for (;;) {
    signal?.throwIfAborted();
    const { size } = await part.resume();
    try {
      return await attempt(file, part, options);
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof HttpError) throw new OrtuneError('DOWNLOAD_REFUSED', `${error.message}.`, { cause: error });
      if (!(error instanceof Broken)) throw error;
      if ((await part.resume()).size > size) failures = 0;
      const noWay = NO_WAY.has(String((innerOf(error.cause) as NodeJS.ErrnoException | undefined)?.code));
      const wait = noWay && failures >= MOST_WITHOUT_WAY ? undefined : backoffMs[failures++];
      if (wait === undefined) {
        throw new OrtuneError('DOWNLOAD_UNREACHABLE', `${file.url}: ${error.message}.`, { cause: error });
      }
      const waitMs = Math.min(LONGEST_WAIT_MS, Math.max(wait, error.waitMs ?? 0));
      emit({ type: 'retry', file: file.name, reason: error.message, seconds: waitMs / 1000 });
      await sleep(waitMs, undefined, signal ? { signal } : {}).catch(() => {});
    }
  }
}

/** One connection. @returns whether it went on from bytes that were there */
async function attempt(file: SourceFile, part: PartFile, options: FetchOptions): Promise<boolean> {
  const { emit, signal, idleMs = IDLE_MS, limit = LARGEST_FILE } = options;
  const { size, origin } = await part.resume();
  const from = origin?.url === file.url && mayContinue(file, origin) ? size : 0;
  if (from > 0 && from === origin?.total) return true;

  const headers: Record<string, string> = {};
  if (from > 0) {
    headers['range'] = `bytes=${from}-`;
    if (origin?.validator !== undefined) headers['if-range'] = origin.validator;
  }
  const answer = await request(file.url, { headers, idleMs, signal }).catch((error: unknown) => {
    throw error instanceof HttpError ? error : new Broken(reasonOf(error), { cause: error });
  });
  try {
    const { first, total } = placeOf(answer, file, from);
    if (total !== undefined && total > limit) tooLarge(file, total, limit);
    if (first === undefined || (first > 0 && changed(answer, origin))) {
      emit({ type: 'restart', file: file.name, reason: 'the server has another file by now' });
      await part.discard();
      throw new Broken('the server has another file by now');
    }
    if (first === 0) {
      if (from > 0) emit({ type: 'restart', file: file.name, reason: 'the server sends the whole of it' });
      const validator = validatorOf(answer);
      await part.begin({
        url: file.url,
        ...(validator !== undefined && { validator }),
        ...(total !== undefined && { total }),
      });
    }
    emit({ type: 'start', file: file.name, from: first, total });
    await store(answer, part, { first, total, limit, file, emit, signal });
    return first > 0;
  } finally {
    answer.body.destroy();
  }
}

/** Where the answer's bytes belong; no `first` when they fit nowhere. @throws Broken, HttpError */
function placeOf({ status, headers }: Answer, { url }: SourceFile, from: number) {
  if (status === 200) return { first: 0, total: lengthOf(headers['content-length']) };
  if (status === 206) {
    const [, first, , total] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(headers['content-range'] ?? '') ?? [];
    return Number(first) === from && from > 0 ? { first: from, total: Number(total) } : { first: undefined };
  }
  if (status === 416 && from > 0) return { first: undefined };
  const answered = `${url} answered ${status}`;
  if (!BUSY.has(status)) throw new HttpError(answered);
  throw new Broken(`the server answered ${status}`, { waitMs: retryAfter(headers['retry-after']) });
}

async function store(
  { body }: Answer,
  part: PartFile,
  {
    first,
    total,
    limit,
    file,
    emit,
    signal,
  }: FetchOptions & { first: number; total: number | undefined; limit: number; file: SourceFile },
): Promise<void> {
  let received = first;
  // Not by a pipeline: when the connection breaks it would throw away what waits to be written.
  const output = await open(part.path, 'a');
  try {
    const chunks: AsyncIterator<Buffer, undefined> = body[Symbol.asyncIterator]();
    for (;;) {
      const { done, value } = await nextOf(chunks, received, total);
      if (done) break;
      received += value.length;
      if (received > limit) {
        await part.discard();
        throw new HttpError(`${file.url} sends more than ${limit} bytes`);
      }
      await output.writeFile(value);
      emit({ type: 'progress', file: file.name, received, total });
      signal?.throwIfAborted();
    }
  } finally {
    await output.close();
  }
  if (total !== undefined && received !== total) {
    throw new Broken(`the connection ended after ${received} of ${total} bytes`);
  }
}

/** The network's trouble is worth another attempt; the disk's is not. */
async function nextOf(
  chunks: AsyncIterator<Buffer, undefined>,
  received: number,
  total: number | undefined,
): Promise<IteratorResult<Buffer, undefined>> {
  try {
    return await chunks.next();
  } catch (error) {
    const of = total === undefined ? '' : ` of ${total}`;
    throw new Broken(`the connection broke after ${received}${of} bytes: ${reasonOf(error)}`, { cause: error });
  }
}

/** Without a validator only a checksum can tell whether the rest belongs to the same file. */
function mayContinue({ checksum }: SourceFile, { validator }: Origin): boolean {
  return validator !== undefined || checksum !== undefined;
}

/** A server may pass over If-Range and send the rest of a newer file. */
function changed(answer: Answer, origin: Origin | undefined): boolean {
  const validator = validatorOf(answer);
  return origin?.validator !== undefined && validator !== undefined && validator !== origin.validator;
}

/** RFC 9110, 13.1.5: a weak ETag must not be used for ranges. */
function validatorOf({ headers }: Answer): string | undefined {
  const { etag } = headers;
  return etag !== undefined && !etag.startsWith('W/') ? etag : headers['last-modified'];
}

function tooLarge(file: SourceFile, total: number, limit: number): never {
  throw new HttpError(`${file.url}: expected at most ${limit} bytes, but the server announces ${total}`);
}

function lengthOf(header: string | undefined): number | undefined {
  return header !== undefined && /^\d+$/.test(header) ? Number(header) : undefined;
}

function retryAfter(header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  const ms = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.now();
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}

/** Node gathers the failures of several addresses in one error that has no message of its own. */
const innerOf = (error: unknown): unknown => (error instanceof AggregateError ? error.errors[0] : error);

/** In a few words. */
function reasonOf(error: unknown): string {
  const { code, message } = innerOf(error) as NodeJS.ErrnoException;
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return `the host's name cannot be resolved (${code})`;
  return message || code || String(error);
}
