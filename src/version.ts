import packageJson from '../package.json' with { type: 'json' };

/** ortune's own version. */
export const VERSION: string = packageJson.version;
