import type { Classifier } from '../inference/index.ts';
import { VERSION } from '../version.ts';
import { ERROR_STATUSES, type ErrorStatus } from './http-error.ts';
import { MOST_FILES } from './multipart.ts';
import type { ServeLimits } from './options.ts';
import { DEFAULT_TOP } from './query.ts';
import { schemas } from './schemas.ts';

/** Refusals that any request may meet, and those of a prediction. */
const EVERYWHERE = [400, 408, 417, 431, 500, 503] as const;
const OF_PREDICTIONS = [...EVERYWHERE, 413, 415, 422] as const;

const BINARY = { type: 'string', format: 'binary' } as const;
const json = (name: string) => ({ 'application/json': { schema: { $ref: `#/components/schemas/${name}` } } });
const text = (type: string) => ({ [type]: { schema: { type: 'string' } } });

function responses(ok: { description: string; content: object }, refusals: readonly ErrorStatus[]): object {
  const named = refusals.map((status) => [status, { $ref: `#/components/responses/${status}` }]);
  return { 200: ok, ...Object.fromEntries(named) };
}

/** The API as OpenAPI 3.1, for the model that is served and the limits in force. */
export function describeApi(classifier: Classifier, limits: ServeLimits): object {
  const { classes, mapSize } = classifier;
  const get = (operationId: string, summary: string, content: object) => ({
    get: { operationId, summary, responses: responses({ description: summary, content }, EVERYWHERE) },
  });
  return {
    openapi: '3.1.0',
    info: {
      title: 'ortune serve',
      version: VERSION,
      description: `Tells which of ${classes.length} classes is on a picture. No picture is kept.`,
      license: { name: 'MIT', identifier: 'MIT' },
    },
    paths: {
      '/predict': {
        post: {
          operationId: 'predict',
          summary: 'Classify pictures',
          description:
            `JPEG, PNG, WebP, GIF, TIFF or AVIF, recognised by content: at most ${limits.maxBody} bytes in a request, ` +
            `${limits.maxPixels} pixels in a picture, ${MOST_FILES} pictures in a form, whatever their fields are called.`,
          parameters: parameters(classes.length, mapSize !== undefined),
          requestBody: {
            required: true,
            content: {
              'image/*': { schema: BINARY },
              'application/octet-stream': { schema: BINARY },
              'multipart/form-data': {
                schema: {
                  type: 'object',
                  required: ['picture'],
                  properties: { picture: { type: 'array', items: BINARY, minItems: 1, maxItems: MOST_FILES } },
                },
              },
            },
          },
          responses: responses({ description: 'The likeliest classes', content: json('Predictions') }, OF_PREDICTIONS),
        },
      },
      '/': get('page', 'A page to try the model on', text('text/html')),
      '/healthz': get('health', 'Whether the model can be asked', json('Health')),
      '/metrics': get('metrics', 'Figures for Prometheus', text('text/plain')),
      '/openapi.json': get('description', 'This description', { 'application/json': { schema: { type: 'object' } } }),
    },
    components: {
      schemas: schemas(classifier),
      responses: Object.fromEntries(
        Object.entries(ERROR_STATUSES).map(([status, description]) => [status, refusal(status, description)]),
      ),
    },
  };
}

function parameters(classes: number, hasMaps: boolean): object[] {
  return [
    {
      name: 'top',
      in: 'query',
      description: 'How many classes to name, the likeliest first',
      schema: { type: 'integer', minimum: 1, maximum: classes, default: Math.min(DEFAULT_TOP, classes) },
    },
    {
      name: 'maps',
      in: 'query',
      description: hasMaps
        ? 'Whether each class comes with its class-activation map: where the network looked'
        : 'Class-activation maps: this model was made without them',
      schema: { type: 'boolean', default: false, ...(!hasMaps && { enum: [false] }) },
    },
  ];
}

function refusal(status: string, description: string): object {
  const header = (about: string) => ({ description: about, schema: { type: 'string' } });
  return {
    description,
    ...(status === '503' && { headers: { 'Retry-After': header('Seconds after which to try again') } }),
    ...(status === '405' && { headers: { Allow: header('The methods that the path takes') } }),
    content: json('Error'),
  };
}
