/** The tools that setup calls, looked for only when a step that needs them is due. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SetupError } from './errors.mjs';
import { isAtLeast } from './node-version.mjs';
import { nativeFolder } from './paths.mjs';

/**
 * @typedef {'npm' | 'cargo' | 'mvn'} Tool
 * @type {Record<Tool, { needed: string, install: string }>}
 */
const tools = {
  npm: {
    needed: 'npm, to install the packages',
    install: 'it comes with Node from https://nodejs.org (Debian, Ubuntu: apt install npm)',
  },
  cargo: {
    needed: 'Rust (cargo), to build the native addon',
    install:
      "curl --proto '=https' -sSf https://sh.rustup.rs | sh (rustup, https://rustup.rs), and a C compiler, which links for it; " +
      'Debian, Ubuntu: apt install build-essential; Fedora: dnf install gcc',
  },
  mvn: {
    needed: 'Maven (mvn) with a Java runtime, to fetch the training library and oneDNN',
    install:
      'Debian, Ubuntu: apt install maven; Fedora: dnf install maven; or from https://maven.apache.org and a JDK 8 or newer',
  },
};

/**
 * The version in what `TOOL --version` prints: `cargo 1.95.0 (f2d3ce0bd 2026-03-21)`, `Apache Maven 3.8.7`, `11.19.1`.
 * @param {string} output
 */
export function parseVersion(output) {
  return /(?:^|\s)v?(\d+(?:\.\d+)+)/.exec(output)?.[1];
}

/** @param {Tool} name @param {string | undefined} minimum @returns {string | undefined} what is wrong with it */
function findProblem(name, minimum) {
  const { needed, install } = tools[name];
  const result = spawnSync(name, ['--version'], { encoding: 'utf8' });
  if (result.error) return `${needed}: \`${name}\` was not found; ${install}`;
  if (result.status !== 0) {
    const said = (result.stderr || result.stdout).trim().split('\n')[0];
    return `${needed}: \`${name} --version\` fails with "${said}"; ${install}`;
  }
  const version = parseVersion(result.stdout);
  if (minimum !== undefined && version !== undefined && !isAtLeast(version, minimum)) {
    return `${needed}: ${name} ${version} is older than ${minimum}; ${install}`;
  }
  return undefined;
}

/** @returns {string | undefined} the oldest Rust that the addon's manifest allows */
function minimumRust() {
  return /^rust-version\s*=\s*"([\d.]+)"/m.exec(readFileSync(join(nativeFolder, 'Cargo.toml'), 'utf8'))?.[1];
}

/** @param {Tool[]} names @returns {string[]} of each that is missing or too old, with how to install it */
export const findToolProblems = (names) =>
  names.flatMap((name) => findProblem(name, name === 'cargo' ? minimumRust() : undefined) ?? []);

/**
 * @param {Tool[]} names
 * @throws {SetupError} naming all that is missing or too old at once, and how to install it
 */
export function requireTools(names) {
  const problems = findToolProblems(names);
  if (problems.length > 0)
    throw new SetupError(`this is needed:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`);
}
