import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { glob } from 'tinyglobby';
import { isImage, listFiles } from '../data/index.ts';
import { OrtuneError } from '../errors.ts';

/**
 * The picture files that a user's words stand for, each once: files as they are, folders with all that lies below
 * them, patterns such as `'photos/*.jpg'` expanded here for shells that don't.
 *
 * @throws OrtuneError `PICTURES_NOT_FOUND` for a word that stands for nothing
 */
export async function listPictures(words: readonly string[]): Promise<string[]> {
  // By absolute path: `a.jpg` and `./a.jpg` are one picture.
  const files = new Map<string, string>();
  for (const word of words) {
    const found = await stat(word).catch(() => undefined);
    const named = found?.isFile()
      ? [word]
      : await (found?.isDirectory() ? inFolder(word) : glob(word, { expandDirectories: false }));
    if (named.length === 0) {
      throw new OrtuneError(
        'PICTURES_NOT_FOUND',
        `expected a picture, a folder of pictures or a pattern, but "${word}" stands for no file.`,
      );
    }
    for (const file of named.sort()) {
      if (!files.has(resolve(file))) files.set(resolve(file), file);
    }
  }
  return [...files.values()];
}

async function inFolder(folder: string): Promise<string[]> {
  return (await listFiles(folder)).filter(isImage).map((file) => join(folder, file));
}
