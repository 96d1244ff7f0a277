import { describeWith, run } from './environment.ts';
import { official as environment } from './setup.mjs';

/**
 * Runs a command of `official.py`.
 * @returns what it printed
 */
export const official = (...args: string[]): Promise<string> => run(environment, args);

/** Tests against the official generator and PaddlePaddle. */
export const describeParity = (name: string, tests: () => void): void => describeWith(environment, name, tests);
