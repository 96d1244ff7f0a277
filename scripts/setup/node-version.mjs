/**
 * Refuses a Node that is too old, as the first thing setup and doctor do: imported before every other module, and itself
 * written so that a much older Node can still read it.
 */
import fs from 'node:fs';

/**
 * Whether a dotted version is at least `minimum`, number by number: `'20.9.0'` is older than `'20.19'`.
 * @param {string} version
 * @param {string} minimum
 */
export function isAtLeast(version, minimum) {
  const have = version.split('.').map((part) => Number.parseInt(part, 10));
  const need = minimum.split('.').map((part) => Number.parseInt(part, 10));
  for (const [i, number] of need.entries()) {
    if ((have[i] || 0) !== number) return (have[i] || 0) > number;
  }
  return true;
}

const { engines } = JSON.parse(fs.readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
export const minimumNode = engines.node.replace(/^>=\s*/, '');

if (!isAtLeast(process.versions.node, minimumNode)) {
  console.error(
    `ortune needs Node ${minimumNode} or newer; this is Node ${process.versions.node} (${process.execPath}).\n` +
      'Install a current release from https://nodejs.org, or with your version manager.',
  );
  process.exit(1);
}
