/** JSON, changed as a tree. */
import type { Random } from '../../src/random.ts';
import { chance, damage, pick } from './mutate.ts';

const VALUES: readonly unknown[] = [
  null,
  true,
  0,
  -1,
  0.5,
  2 ** 31,
  2 ** 53,
  -(2 ** 63),
  1e308,
  '',
  'x',
  '../../escaped',
  'a'.repeat(5000),
  [],
  {},
  [null],
  [[[[[[]]]]]],
  // No text: `String(value)` of it is a TypeError.
  { toString: null, valueOf: null },
  Array.from({ length: 2000 }, (_, index) => index),
  Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`k${index}`, index])),
];
const KEYS = ['__proto__', 'constructor', 'toString', 'length', '', 'x', '../x', '0', '__metadata__'];

interface Place {
  readonly holder: Record<string, unknown>;
  readonly key: string;
}

function placesOf(root: object): Place[] {
  const places: Place[] = [];
  const holders = [root as Record<string, unknown>];
  for (const holder of holders) {
    for (const key of Object.keys(holder)) {
      places.push({ holder, key });
      const value = holder[key];
      if (typeof value === 'object' && value !== null) holders.push(value as Record<string, unknown>);
    }
  }
  return places;
}

/** Puts a copy, or a value would come to hold itself; not by `=`, as one of the keys is `__proto__`. */
function put(holder: object, key: string, of: unknown): void {
  if (Array.isArray(holder) && key === 'length') return;
  const value: unknown = JSON.parse(JSON.stringify(of) ?? 'null');
  Object.defineProperty(holder, key, { value, enumerable: true, writable: true, configurable: true });
}

function nested(depth: number, value: unknown): unknown {
  let outer = value;
  for (let level = 0; level < depth; level++) outer = level % 2 ? [outer] : { a: outer };
  return outer;
}

/** The text of a JSON value with one to three of its parts changed; sometimes the text itself is damaged too. */
export function damageJson(random: Random, text: string): Buffer {
  const root = { root: JSON.parse(text) as unknown };
  for (let change = random.integer(3); change >= 0; change--) {
    const places = placesOf(root);
    if (places.length === 0) break;
    const { holder, key } = pick(random, places);
    const other = pick(random, places);
    switch (random.integer(6)) {
      case 0:
        delete holder[key];
        break;
      case 1:
        put(holder, chance(random, 0.5) ? pick(random, KEYS) : other.key, holder[key]);
        break;
      case 2:
        put(holder, key, other.holder[other.key]);
        break;
      case 3:
        put(holder, key, nested(random.integer(chance(random, 0.05) ? 1000 : 5), holder[key]));
        break;
      default:
        put(holder, key, pick(random, VALUES));
    }
  }
  const written = Buffer.from(JSON.stringify(root.root) ?? '');
  return chance(random, 0.2) ? damage(random, written) : written;
}
