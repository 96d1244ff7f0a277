import { relative } from 'node:path';
import type { Dataset } from './dataset.ts';
import type { Sample } from './sample.ts';

/** How a picture is called within its data set: its path from the set's folder. */
export function nameOf({ root }: Pick<Dataset, 'root'>, { file }: Pick<Sample, 'file'>): string {
  return relative(root, file) || file;
}

/** A name as a line of text: what would break the line, or speak to the terminal, is written as in JSON. */
export function printable(name: string): string {
  return name.replace(/\p{Cc}/gu, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
