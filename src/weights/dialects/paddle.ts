import type { Dialect } from './dialect.ts';

/** The tutorial's names, which are ortune's own: also what ortune's models and folders hold. */
export const paddle: Dialect = {
  name: 'paddle',
  locate: (name) => ({ name }),
};
