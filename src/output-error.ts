import { OrtuneError } from './errors.ts';

/** What can be done where the system does not write. */
const REMEDIES: Readonly<Record<string, string>> = {
  ENOSPC: 'The disk is full: make room on it',
  EDQUOT: 'The quota of the disk is used up: make room in it',
  EFBIG: 'The system lets no file grow so large (ulimit -f): raise the limit',
  EROFS: 'The file system is read-only: make it writable',
  EACCES: 'This user may not write there: change the permissions',
  EPERM: 'This user may not write there: change the permissions',
  EEXIST: 'A file is in the way of a folder: move it',
  ENOTDIR: 'A file is in the way of a folder: move it',
  ENOENT: 'A folder on the way is missing: make it',
};

/** Whether the system refused, in reading or writing a file. */
export const isSystemError = (error: unknown): error is NodeJS.ErrnoException =>
  error instanceof Error && 'syscall' in error;

/**
 * The system's refusal to write, with what was to be written, which its own message does not name where a disk is full, and
 * what to do. Any other error stays as it is.
 *
 * @param what as a user knows it
 * @param state what became of the rest, as a sentence
 */
export function outputError(what: string, error: unknown, state = ''): unknown {
  // Of a part of it: the whole says more.
  const refusal = error instanceof OrtuneError && error.code === 'OUTPUT' ? error.cause : error;
  if (!isSystemError(refusal)) return error;
  const remedy = REMEDIES[refusal.code ?? ''];
  const sentences = [
    `${what} cannot be written: ${refusal.message}.`,
    ...(remedy === undefined ? [] : [`${remedy}, or choose another place.`]),
    ...(state === '' ? [] : [state]),
  ];
  return new OrtuneError('OUTPUT', sentences.join(' '), { cause: refusal });
}
