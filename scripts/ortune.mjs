#!/usr/bin/env node
/**
 * The one executable, `ortune COMMAND`. Plain Node, as `setup` and `doctor` work before anything is installed. In a clone the
 * other commands are TypeScript, run by tsx; the published package holds them compiled.
 */
import './setup/node-version.mjs'; // first: an old Node may not even read the others
import { existsSync } from 'node:fs';

const source = new URL('../src/cli/main.ts', import.meta.url);
const isClone = existsSync(source);

/** Whether tsx, which loads TypeScript, is there: in a clone that is not set up it is not. */
async function registerTypeScript() {
  try {
    (await import('tsx/esm/api')).register();
    return true;
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'ERR_MODULE_NOT_FOUND') throw error;
    console.error('Error: the npm packages are not installed; run `npx ortune setup`.');
    process.exitCode = 1;
    return false;
  }
}

// The command's own words are left where every program finds its own.
const [name] = process.argv[2]?.startsWith('-') ? [] : process.argv.splice(2, 1);
if (name === 'setup' || name === 'doctor') {
  await import(`./${name}.mjs`);
} else if (!isClone || (await registerTypeScript())) {
  const { main } = await import(isClone ? source.href : new URL('../dist/src/cli/main.js', import.meta.url).href);
  await main(name);
}
