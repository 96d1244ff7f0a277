import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { findServing } from '#setup/find.mjs';
import { runtimeFolder, servingVersion } from '#setup/paths.mjs';
import { type Machine, platformProblem, thisMachine, withSolutions } from '#setup/remedies.mjs';
import { OrtuneError } from '../errors.ts';

/** The library that `npx ortune setup` has put in place. */
export interface LocatedLibrary {
  /** Absolute path of the shared library. */
  readonly libraryPath: string;
  /** Which build it is: `linux-x86_64`, `linux-x86_64-gpu`, ..., or `custom` for a user's own. */
  readonly variant: string;
}

/**
 * Reads `current.json` of the runtime folder, which setup writes:
 * `{ library, variant, version, source, ... }`, `library` relative to that folder or absolute, `source` `'maven'` or the
 * path that was given as `ORTUNE_ORT_LIBRARY`.
 *
 * @throws OrtuneError `SETUP_NEEDED` when setup has not run, or has run with another `ORTUNE_ORT_LIBRARY`
 */
export function locateLibrary(
  folder: string = runtimeFolder,
  wanted: string | undefined = process.env['ORTUNE_ORT_LIBRARY'],
): LocatedLibrary {
  const file = resolve(folder, 'current.json');
  if (!existsSync(file)) {
    throw setupNeeded(`the training library is not set up (no ${file})`);
  }
  const { library, variant, source } = readCurrent(file);
  if (wanted && (source === 'maven' || resolve(source) !== resolve(wanted))) {
    const using = source === 'maven' ? 'the library that setup fetched' : source;
    throw new OrtuneError(
      'SETUP_NEEDED',
      `ORTUNE_ORT_LIBRARY is ${wanted}, but ${using} is set up; run \`npx ortune setup\` with ORTUNE_ORT_LIBRARY set`,
    );
  }
  const libraryPath = resolve(folder, library);
  if (!existsSync(libraryPath)) {
    throw setupNeeded(`${file} names ${libraryPath}, which is not there`);
  }
  return { libraryPath, variant };
}

/**
 * The oneDNN library that setup has put in place, named by `kernels.library` of `current.json` as the training library is
 * there. It is optional.
 *
 * @param wanted `0` leaves it out
 * @returns its absolute path, `undefined` where there is none
 * @throws OrtuneError `SETUP_NEEDED` when `current.json` is damaged
 */
export function locateKernels(
  folder: string = runtimeFolder,
  wanted: string | undefined = process.env['ORTUNE_ONEDNN'],
): string | undefined {
  const file = resolve(folder, 'current.json');
  if (wanted === '0' || !existsSync(file)) return undefined;
  const { kernels } = readCurrent(file);
  if (kernels === undefined) return undefined;
  const path = resolve(folder, kernels);
  return existsSync(path) ? path : undefined;
}

/**
 * What is missing until `npx ortune setup` has run, with that command; where setup cannot help, what can.
 *
 * @param missing what was expected, and where
 */
export function setupNeeded(missing: string, machine: Machine = thisMachine()): OrtuneError {
  return new OrtuneError('SETUP_NEEDED', `${missing}; ${platformProblem(machine) ?? 'run `npx ortune setup`'}`);
}

/**
 * onnxruntime-node's main module: the one that the project has installed, else the one that setup has.
 *
 * @throws OrtuneError `SETUP_NEEDED` where there is none
 */
export function locateServing(find: () => string | undefined = findServing): string {
  const file = find();
  if (file !== undefined) return file;
  throw new OrtuneError(
    'SETUP_NEEDED',
    withSolutions('onnxruntime-node is not installed, which runs finished models.', [
      'Let ortune install it, outside of your project: npx ortune setup',
      `Install it into your project: npm install --ignore-scripts onnxruntime-node@${servingVersion}`,
    ]),
  );
}

interface Current {
  library: string;
  variant: string;
  source: string;
  kernels: string | undefined;
}

function readCurrent(file: string): Current {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, 'utf8'));
  } catch (cause) {
    throw new OrtuneError('SETUP_NEEDED', `cannot read ${file}; run \`npx ortune setup\` to write it anew`, { cause });
  }
  const { library, variant, source, kernels } = (value ?? {}) as Record<string, unknown>;
  if (typeof library !== 'string' || typeof variant !== 'string' || typeof source !== 'string') {
    throw new OrtuneError(
      'SETUP_NEEDED',
      `${file} lacks library, variant or source; run \`npx ortune setup\` to write it anew`,
    );
  }
  const named = typeof kernels === 'object' && kernels !== null && 'library' in kernels ? kernels.library : undefined;
  return { library, variant, source, kernels: typeof named === 'string' ? named : undefined };
}
