import type { IncomingMessage, ServerResponse } from 'node:http';
import { createLimiter, DECODERS, decodeCentre } from '../data/index.ts';
import type { Classifier, ClassProbability } from '../inference/index.ts';
import { Admission } from './admission.ts';
import { Batcher } from './batcher.ts';
import { readBody } from './body.ts';
import { busy, ClientGone, HttpError } from './http-error.ts';
import { Metrics } from './metrics.ts';
import { readMultipart, type UploadedFile } from './multipart.ts';
import type { ServeLimits } from './options.ts';
import { readHeader } from './picture.ts';
import { type PredictQuery, readQuery } from './query.ts';
import { jsonReply, type Reply } from './reply.ts';

/** `POST /predict`: from the request to the answer, with all that is limited on the way. */
export class Prediction {
  readonly metrics: Metrics;
  readonly #classifier: Classifier;
  readonly #limits: ServeLimits;
  readonly #admission: Admission;
  readonly #batcher: Batcher;
  readonly #decoder = createLimiter(DECODERS);

  constructor(classifier: Classifier, limits: ServeLimits) {
    this.#classifier = classifier;
    this.#limits = limits;
    this.#admission = new Admission(limits.concurrency, limits.queue);
    this.#batcher = new Batcher(classifier, limits.maxBatch, (pictures, seconds) =>
      this.metrics.batch(pictures, seconds),
    );
    const levels = {
      active: () => this.#admission.inside,
      queued: () => this.#admission.waiting,
      pictures: () => this.#batcher.waiting,
    };
    this.metrics = new Metrics(levels, limits.maxBatch);
  }

  /** @throws HttpError and OrtuneError as `toHttpError` takes them; ClientGone */
  async answer(request: IncomingMessage, response: ServerResponse, query: URLSearchParams): Promise<Reply> {
    const { classes, mapSize } = this.#classifier;
    const wanted = readQuery(query, classes.length, mapSize !== undefined);
    const kind = bodyKind(request.headers['content-type']);
    const stop = new AbortController();
    const gone = () => stop.abort(new ClientGone());
    response.once('close', gone);
    let arrived = false;
    const late = () => stop.abort(arrived ? busy(OVERTIME) : tooSlow(this.#limits.timeout));
    const clock = setTimeout(late, this.#limits.timeout * 1000);
    try {
      const leave = await this.#admission.enter(stop.signal).catch(waitedInVain);
      try {
        const body = await readBody(request, response, this.#limits.maxBody, stop.signal);
        arrived = true;
        const { 'content-type': type = '' } = request.headers;
        const files = kind === 'multipart' ? await readMultipart(body, type, stop.signal) : [raw(body)];
        if (files.length === 0 || (kind === 'raw' && body.length === 0)) throw noPicture();
        const pictures = await all(files.map((file, index) => this.#picture(file, index, wanted, stop.signal)));
        return jsonReply({ pictures });
      } finally {
        leave();
      }
    } finally {
      clearTimeout(clock);
      response.off('close', gone);
    }
  }

  async #picture({ name, bytes }: UploadedFile, index: number, { top, maps }: PredictQuery, signal: AbortSignal) {
    const { transform } = this.#classifier;
    const called = name === '' ? `picture ${index + 1}` : `picture ${index + 1} (${name})`;
    const started = performance.now();
    const { header, pixels } = await this.#decoder(async () => {
      signal.throwIfAborted();
      const header = await readHeader(bytes, called, this.#limits.maxPixels, transform);
      return { header, pixels: await decodeCentre(bytes, transform, { name: called, seconds: this.#limits.timeout }) };
    });
    this.metrics.decoded((performance.now() - started) / 1000);
    const output = await this.#batcher.infer(pixels, maps, signal);
    return { ...(name !== '' && { name }), ...header, predictions: this.#classifier.rank(output, top).map(toJson) };
  }
}

const OVERTIME = 'the prediction took too long: the server is busy, try again in a moment';

const tooSlow = (seconds: number) =>
  new HttpError(408, 'TOO_SLOW', `expected the whole request within ${seconds} s, it did not arrive`);

const noPicture = () => new HttpError(400, 'NO_PICTURE', 'expected a picture, received an empty body or no file in it');

/** A request that ran out of time in the queue did not send slowly. */
function waitedInVain(reason: unknown): never {
  throw reason instanceof HttpError && reason.status === 408 ? busy(OVERTIME) : reason;
}

function bodyKind(contentType: string | undefined): 'raw' | 'multipart' {
  const type = contentType?.split(';', 1)[0]?.trim().toLowerCase();
  if (type === 'multipart/form-data') return 'multipart';
  if (type === 'application/octet-stream' || type?.startsWith('image/')) return 'raw';
  throw new HttpError(
    415,
    'CONTENT_TYPE',
    'expected a picture as image/* or application/octet-stream, or files as multipart/form-data',
  );
}

const raw = (bytes: Buffer): UploadedFile => ({ name: '', bytes });

/** As `Promise.all`, but settled only when all are: what fails must not give its place away while others still compute. */
async function all<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  const settled = await Promise.allSettled(promises);
  return settled.map((result) => {
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  });
}

/** Six digits are what float32 has, nearly: the rest would only be bytes. */
const toJson = ({ label, probability, map }: ClassProbability) => ({
  label,
  probability,
  ...(map && { map: { ...map, values: Array.from(map.values, (value) => Number(value.toPrecision(6))) } }),
});
