import { readFile, stat } from 'node:fs/promises';
import { basename, extname } from 'node:path';
import { OrtuneError } from '../errors.ts';
import { nearest } from './nearest.ts';
import { LARGEST_RECIPE, readRecipe } from './read.ts';
import type { Recipe } from './schema.ts';

/** The recipes that come along, files beside this one. */
export const RECIPES = ['tutorial', 'recommended'] as const;

/**
 * A recipe by its name, `tutorial` or `recommended`, or from a YAML file.
 *
 * @throws OrtuneError `RECIPE_NOT_FOUND`, `RECIPE_INVALID`
 */
export async function loadRecipe(nameOrPath: string): Promise<Recipe> {
  if (RECIPES.some((name) => name === nameOrPath)) {
    const file = new URL(`${nameOrPath}.yaml`, import.meta.url);
    return readRecipe(await readFile(file, 'utf8'), `${nameOrPath}.yaml`, nameOrPath);
  }
  const name = basename(nameOrPath, extname(nameOrPath));
  return readRecipe(await readText(nameOrPath), nameOrPath, name);
}

async function readText(path: string): Promise<string> {
  const fail = (found: string): never => {
    const meant = nearest(path, RECIPES);
    throw new OrtuneError(
      'RECIPE_NOT_FOUND',
      `--recipe: expected ${RECIPES.join(', ')} or a YAML file, received ${path}, ${found}.${meant === undefined ? '' : ` Did you mean ${meant}?`}`,
    );
  };
  // Before it is opened: a pipe would be waited for without end.
  const found = await stat(path).catch((error: NodeJS.ErrnoException) =>
    fail(error.code === 'ENOENT' ? 'which is not there' : `which cannot be read (${error.code})`),
  );
  if (!found.isFile()) return fail('which is no regular file');
  if (found.size > LARGEST_RECIPE) return fail(`which has ${found.size} bytes, more than any recipe`);
  const bytes = await readFile(path);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw new OrtuneError('RECIPE_INVALID', `${path}: expected text in UTF-8.`, { cause: error });
  }
}
