import { availableParallelism } from 'node:os';
import { OrtuneError } from './errors.ts';

/** More only wait for each other, and take memory. */
const MOST = Math.max(64, 4 * availableParallelism());

/** @throws OrtuneError `OPTION` for a number of threads that makes no sense */
export function checkThreads(threads: number | undefined): void {
  if (threads === undefined || (Number.isSafeInteger(threads) && threads >= 1 && threads <= MOST)) return;
  throw new OrtuneError('OPTION', `threads: expected a whole number from 1 to ${MOST}, received ${threads}`);
}
