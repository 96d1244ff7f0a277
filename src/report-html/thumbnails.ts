import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { open } from '../data/image.ts';
import { type Dataset, nameOf, openDataset, readSample, type Sample } from '../data/index.ts';
import { createLimiter, DECODERS } from '../data/limiter.ts';
import type { Metrics, Run } from './read-result.ts';

/** Side in pixels, shown at about 160: sharp on fine screens, and small as a file. */
const SIDE = 240;

/**
 * Small squares from the middle of the pictures that a model was furthest off on.
 *
 * @param where the data set, or the folder of its pictures
 * @returns data URIs in the pictures' order; `undefined` for what cannot be read any more
 */
export async function thumbnails(
  topLosses: Metrics['topLosses'],
  where: Dataset | { readonly root: string; readonly kind: Run['dataset']['kind'] },
): Promise<(string | undefined)[]> {
  const bytesOf = await pictureReader(where);
  const limit = createLimiter(DECODERS);
  return Promise.all(
    topLosses.map(({ picture }) =>
      limit(async () => {
        try {
          return await thumbnail(await bytesOf(String(picture)));
        } catch {
          // The report is of a run that is over: its pictures may be gone since.
          return undefined;
        }
      }),
    ),
  );
}

async function pictureReader(
  where: Parameters<typeof thumbnails>[1],
): Promise<(picture: string) => Promise<Uint8Array>> {
  // Only pictures in an archive need to be looked up: the others' names are their paths.
  const dataset = 'train' in where ? where : where.kind === 'flowers102' ? await openIfThere(where.root) : undefined;
  if (!dataset) return (picture) => readFile(within(where.root, picture));
  const samples = new Map<string, Sample>();
  for (const part of ['train', 'valid', 'test'] as const) {
    for (const sample of dataset[part]) samples.set(nameOf(dataset, sample), sample);
  }
  return async (picture) => {
    const sample = samples.get(picture);
    if (!sample) throw new Error(`${picture} is not in the data set`);
    return readSample(sample);
  };
}

const openIfThere = (root: string) => openDataset(root).catch(() => undefined);

/** A result of somebody else's must not make a report of files beside the data. */
function within(root: string, picture: string): string {
  const path = join(root, picture);
  if (!path.startsWith(join(root, '/'))) throw new Error(`${picture} is not in ${root}`);
  return path;
}

async function thumbnail(bytes: Uint8Array): Promise<string> {
  const picture = (await open(bytes)).image
    .autoOrient()
    .resize(SIDE, SIDE, { fit: 'cover' })
    .flatten({ background: 'white' })
    .toColourspace('srgb');
  return `data:image/webp;base64,${(await picture.webp({ quality: 64 }).toBuffer()).toString('base64')}`;
}
