import type { Classifier } from '../inference/index.ts';

const NUMBER = { type: 'number' } as const;
const SHARE = { type: 'number', minimum: 0, maximum: 1 } as const;
const SIZE = { type: 'integer', minimum: 1 } as const;
const object = (properties: Readonly<Record<string, object>>, optional: readonly string[] = [], more: object = {}) => ({
  type: 'object',
  required: Object.keys(properties).filter((name) => !optional.includes(name)),
  properties,
  additionalProperties: false,
  ...more,
});

/** What answers look like, as JSON Schema. */
export function schemas({ classes, mapSize }: Classifier): Readonly<Record<string, object>> {
  const map = mapSize && {
    ActivationMap: object(
      {
        height: { const: mapSize.height },
        width: { const: mapSize.width },
        values: {
          type: 'array',
          items: NUMBER,
          minItems: mapSize.height * mapSize.width,
          maxItems: mapSize.height * mapSize.width,
        },
      },
      [],
      {
        description:
          'How much each place of the part that was seen speaks for the class (against it, where negative), row by row. ' +
          'Their mean and the bias of the class add up to its logit.',
      },
    ),
  };
  return {
    Predictions: object({ pictures: { type: 'array', minItems: 1, items: { $ref: '#/components/schemas/Picture' } } }),
    Picture: object(
      {
        name: { type: 'string', description: 'The name of the file in a form' },
        width: { ...SIZE, description: 'Pixels, of the picture held upright' },
        height: SIZE,
        seen: { $ref: '#/components/schemas/Region' },
        predictions: {
          type: 'array',
          minItems: 1,
          maxItems: classes.length,
          items: { $ref: '#/components/schemas/Prediction' },
        },
      },
      ['name'],
    ),
    Region: object({ x: SHARE, y: SHARE, width: SHARE, height: SHARE }, [], {
      description: 'The part that the network saw, as shares of the width and height of the picture held upright',
    }),
    Prediction: object(
      {
        label: { type: 'string', enum: classes },
        probability: SHARE,
        ...(mapSize && { map: { $ref: '#/components/schemas/ActivationMap' } }),
      },
      ['map'],
    ),
    ...map,
    Health: object({ status: { const: 'ok' }, classes: SIZE, imageSize: SIZE, maps: { type: 'boolean' } }),
    Error: object({
      error: object({
        code: { type: 'string', description: 'Stable, for programs' },
        message: { type: 'string', description: 'For people' },
      }),
    }),
  };
}
