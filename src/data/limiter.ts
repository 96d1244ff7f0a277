import { availableParallelism } from 'node:os';

/**
 * Pictures decoded at a time: one per core, as far as libuv's pool has threads (4 unless `UV_THREADPOOL_SIZE` says
 * otherwise). More would only wait in the pool's queue, in front of whatever else needs a thread.
 */
export const DECODERS = Math.max(2, Math.min(availableParallelism(), Number(process.env['UV_THREADPOOL_SIZE']) || 4));

/** Runs tasks in the order given, at most `limit` at a time. */
export function createLimiter(limit: number): <T>(task: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (task) => {
    // A task that ends hands its place on, so `running` never counts a place twice.
    if (running < limit) running++;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await task();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else running--;
    }
  };
}
