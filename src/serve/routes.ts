import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Classifier } from '../inference/index.ts';
import { HttpError } from './http-error.ts';
import { describeApi } from './openapi.ts';
import type { ServeLimits } from './options.ts';
import { loadPage } from './page.ts';
import { Prediction } from './predict.ts';
import { jsonReply, type Reply } from './reply.ts';

export type Answer = (request: IncomingMessage, response: ServerResponse, query: URLSearchParams) => Promise<Reply>;

export interface Routes {
  /** The path as metrics and log call it: one of ours, or `other`. */
  label(path: string): string;
  /** What answers. @throws HttpError 404, 405 */
  find(path: string, method: string | undefined): Answer;
  readonly metrics: Prediction['metrics'];
}

/** All that the server answers: a path is looked up in this table, and never leads to a file. */
export async function createRoutes(classifier: Classifier, limits: ServeLimits): Promise<Routes> {
  const prediction = new Prediction(classifier, limits);
  const { metrics } = prediction;
  const description = describeApi(classifier, limits);
  const get = (answer: () => Promise<Reply> | Reply) => ({ GET: async () => answer() });
  const table = new Map<string, Readonly<Record<string, Answer>>>([
    ['/predict', { POST: (request, response, query) => prediction.answer(request, response, query) }],
    ['/healthz', get(() => health(classifier))],
    ['/metrics', get(async () => ({ status: 200, type: metrics.type, body: await metrics.text() }))],
    ['/openapi.json', get(() => jsonReply(description))],
  ]);
  for (const [path, reply] of await loadPage())
    table.set(
      path,
      get(() => reply),
    );

  return {
    metrics,
    label: (path) => (table.has(path) ? path : 'other'),
    find(path, method = '') {
      const methods = table.get(path);
      if (!methods) {
        throw new HttpError(404, 'NOT_FOUND', 'there is nothing at this path; /openapi.json tells what there is');
      }
      const answered = method === 'HEAD' ? 'GET' : method;
      if (Object.hasOwn(methods, answered)) return methods[answered]!;
      const allowed = Object.keys(methods).flatMap((one) => (one === 'GET' ? ['GET', 'HEAD'] : [one]));
      throw new HttpError(405, 'METHOD', `expected ${allowed.join(' or ')}`, { Allow: allowed.join(', ') });
    },
  };
}

function health(classifier: Classifier): Reply {
  if (!classifier.ready) {
    throw new HttpError(503, 'MODEL_CLOSED', 'the model has ended; start the server anew', { 'Retry-After': '30' });
  }
  const { classes, transform, mapSize } = classifier;
  return jsonReply({
    status: 'ok',
    classes: classes.length,
    imageSize: transform.imageSize,
    maps: mapSize !== undefined,
  });
}
