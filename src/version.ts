/** ortune's own version. */
export { version as VERSION } from '#setup/paths.mjs';
