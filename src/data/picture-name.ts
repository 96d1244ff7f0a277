import { relative } from 'node:path';
import type { Dataset } from './dataset.ts';
import type { Sample } from './sample.ts';

/** How a picture is called within its data set: its path from the set's folder. */
export function nameOf({ root }: Pick<Dataset, 'root'>, { file }: Pick<Sample, 'file'>): string {
  return relative(root, file) || file;
}
