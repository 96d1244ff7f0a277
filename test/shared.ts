import { resolve } from 'node:path';

/** Absolute path of the folder of test material that `ORTUNE_SHARED` names; tests that need it are skipped without it. */
export const shared: string | undefined = process.env['ORTUNE_SHARED'] && resolve(process.env['ORTUNE_SHARED']);
