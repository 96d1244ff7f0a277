import { HttpError } from './http-error.ts';

export interface PredictQuery {
  readonly top: number;
  readonly maps: boolean;
}

/** Classes named where the request does not say how many. */
export const DEFAULT_TOP = 5;

/** Reads `top` and `maps`, strictly: a misspelt parameter would otherwise be an answer to another question. */
export function readQuery(query: URLSearchParams, classes: number, hasMaps: boolean): PredictQuery {
  const values = new Map<string, string>();
  for (const [name, value] of query) {
    if (name !== 'top' && name !== 'maps') throw wrong(`expected the parameters top and maps, received ${quote(name)}`);
    if (values.has(name)) throw wrong(`expected ${name} once, received it again`);
    values.set(name, value);
  }
  const top = values.get('top') ?? String(Math.min(DEFAULT_TOP, classes));
  if (!/^[1-9][0-9]{0,8}$/.test(top) || Number(top) > classes) {
    throw wrong(`top: expected a whole number from 1 to ${classes}, received ${quote(top)}`);
  }
  const maps = values.get('maps') ?? 'false';
  if (maps !== 'true' && maps !== 'false') throw wrong(`maps: expected true or false, received ${quote(maps)}`);
  if (maps === 'true' && !hasMaps) {
    throw new HttpError(400, 'MAPS_UNAVAILABLE', 'maps: this model was made without class-activation maps');
  }
  return { top: Number(top), maps: maps === 'true' };
}

const wrong = (message: string) => new HttpError(400, 'QUERY', message);

const quote = (text: string) => JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}...` : text);
