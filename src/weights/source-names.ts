import { OrtuneError } from '../errors.ts';
import type { ParameterSpec } from './mapping.ts';
import type { WeightFile } from './types.ts';

/** The names that dialects look for, each with the name in the file. */
export type NamedSource = ReadonlyMap<string, string>;

/** What torch's wrappers put before every name: DataParallel, and compiled modules. */
const WRAPPER_PREFIXES = ['module.', '_orig_mod.'] as const;

/**
 * Names a file's tensors for the dialects: wrappers' prefixes are taken off, and the nameless records of a Paddle combined
 * file get the network's sorted names, which is the order that Paddle writes them in.
 * @throws OrtuneError `WEIGHTS_NAMES` when a combined file does not hold as many records as the network has parameters
 */
export function nameSource(
  file: WeightFile,
  parameters: readonly ParameterSpec[],
  head: readonly string[],
): NamedSource {
  const inFile = [...file.tensors.keys()];
  if (file.format === 'paddle-combined') return nameRecords(file, inFile, parameters, head);
  let names = inFile;
  for (let prefix = commonPrefix(names); prefix; prefix = commonPrefix(names)) {
    const { length } = prefix;
    names = names.map((name) => name.slice(length));
  }
  return new Map(names.map((name, index) => [name, inFile[index]!]));
}

function commonPrefix(names: readonly string[]): string | undefined {
  return WRAPPER_PREFIXES.find((prefix) => names.every((name) => name.startsWith(prefix)));
}

function nameRecords(
  file: WeightFile,
  records: readonly string[],
  parameters: readonly ParameterSpec[],
  head: readonly string[],
): NamedSource {
  const all = parameters.map(({ name }) => name).sort();
  const backbone = all.filter((name) => !head.includes(name));
  const names = [all, backbone].find(({ length }) => length === records.length);
  if (names) return new Map(names.map((name, index) => [name, records[index]!]));
  throw new OrtuneError(
    'WEIGHTS_NAMES',
    `${file.path}: expected ${all.length} records (or ${backbone.length} without the head) for this network, received ` +
      `${records.length}. A Paddle combined file holds no names, so it must be of exactly this network; a folder with one ` +
      'file per variable may be of another.',
  );
}
