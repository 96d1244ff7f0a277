import { HEAD_PARAMETERS } from '../../onnx/resnet.ts';
import { OrtuneError } from '../errors.ts';
import { globToRegExp } from '../glob.ts';
import { DIALECTS, type Dialect } from './dialects/index.ts';
import { STORED_TYPES, type StoredType } from './element-types.ts';
import { parameterValues } from './parameter-values.ts';
import { type NamedSource, nameSource } from './source-names.ts';
import type { WeightFile } from './types.ts';

/** A parameter of the network: its name (the tutorial's) and shape. */
export interface ParameterSpec {
  readonly name: string;
  readonly dims: readonly number[];
}

/** What weights may leave out. */
export interface LoadOptions {
  /** Parameters that keep their first values whatever the file holds: the head, for a new set of classes. */
  readonly head?: readonly string[];
  /** Patterns of parameters that may be missing or misshapen; `*` stands for any text, `?` for one character. */
  readonly allowMissing?: readonly string[];
}

/** What became of every name. Names are the network's, but for `unexpected`, which the file alone knows. */
export interface MappingReport {
  readonly dialect: string;
  readonly loaded: readonly string[];
  /** Not in the file, and allowed to be. */
  readonly missing: readonly string[];
  /** In the file, but of another shape or no floating-point type, and allowed to be. */
  readonly wrongShape: readonly WrongShape[];
  /** In the file, but no parameter of the network. */
  readonly unexpected: readonly string[];
  /** The head: left out by name. */
  readonly leftOut: readonly string[];
}

/** A parameter whose values in the file are of another shape or type. */
export interface WrongShape {
  readonly name: string;
  readonly source: string;
  /** The file's dims would have to be these. */
  readonly expected: readonly number[];
  readonly received: readonly number[];
  readonly type: StoredType;
}

/** Values by name, and what became of every name. */
export interface LoadedWeights {
  /** float32 values by the network's names, row-major in the network's shapes. */
  readonly values: Map<string, Float32Array>;
  readonly report: MappingReport;
}

/** How a parameter gets its values. */
interface Match {
  readonly parameter: ParameterSpec;
  readonly source: string;
  readonly transpose: boolean;
}

interface Plan {
  readonly matches: readonly Match[];
  readonly report: MappingReport;
}

/**
 * Loads weights into a network's parameters by name, strictly: every parameter but the head must be there in its shape, or
 * be allowed to be missing. float16, bfloat16 and float64 become float32.
 *
 * @throws OrtuneError `WEIGHTS_MISMATCH` listing what is missing or misshapen; `WEIGHTS_NAMES` when no name is known;
 *   `WEIGHTS_VALUES` naming a tensor with NaN, an infinity or a negative variance
 */
export async function loadWeights(
  file: WeightFile,
  parameters: readonly ParameterSpec[],
  { head = HEAD_PARAMETERS, allowMissing = [] }: LoadOptions = {},
): Promise<LoadedWeights> {
  const source = nameSource(file, parameters, head);
  const dialect = chooseDialect(source, parameters);
  const { matches, report } = plan(file, source, dialect, parameters, head);
  const isAllowed = (name: string) => allowMissing.some((pattern) => globToRegExp(pattern).test(name));
  if (matches.length + report.wrongShape.length > 0) checkComplete(file, report, dialect, parameters, isAllowed);
  // Even with everything allowed to be missing: weights of which nothing is taken are not what anybody asked for.
  if (matches.length === 0) throw noNames(file, parameters);

  const values = new Map<string, Float32Array>();
  for (const { parameter, source: name, transpose } of matches) {
    values.set(parameter.name, await parameterValues(file, name, parameter.name, transpose));
  }
  return { values, report };
}

function chooseDialect(source: NamedSource, parameters: readonly ParameterSpec[]): Dialect {
  const count = ({ locate }: Dialect) => parameters.filter(({ name }) => source.has(locate(name)?.name ?? '')).length;
  return DIALECTS.reduce((best, candidate) => (count(candidate) > count(best) ? candidate : best));
}

function plan(
  file: WeightFile,
  source: NamedSource,
  dialect: Dialect,
  parameters: readonly ParameterSpec[],
  head: readonly string[],
): Plan {
  const matches: Match[] = [];
  const missing: string[] = [];
  const wrongShape: WrongShape[] = [];
  const known = new Set<string>();
  for (const parameter of parameters) {
    const { name, dims } = parameter;
    const place = dialect.locate(name);
    if (place) known.add(place.name);
    if (head.includes(name)) continue;
    const inFile = source.get(place?.name ?? '');
    if (inFile === undefined) {
      missing.push(name);
      continue;
    }
    const { type, dims: received } = file.tensors.get(inFile)!;
    const transpose = place?.transpose ?? false;
    const expected = transpose ? dims.toReversed() : dims;
    if (STORED_TYPES[type].floating && sameDims(expected, received))
      matches.push({ parameter, source: inFile, transpose });
    else wrongShape.push({ name, source: inFile, expected, received, type });
  }
  const unexpected = [...source]
    .filter(([name]) => !known.has(name) && !dialect.isBookkeeping?.(name))
    .map(([, inFile]) => inFile);
  const leftOut = parameters.map(({ name }) => name).filter((name) => head.includes(name));
  const loaded = matches.map(({ parameter }) => parameter.name);
  return { matches, report: { dialect: dialect.name, loaded, missing, wrongShape, unexpected, leftOut } };
}

function checkComplete(
  file: WeightFile,
  report: MappingReport,
  dialect: Dialect,
  parameters: readonly ParameterSpec[],
  isAllowed: (name: string) => boolean,
): void {
  const missing = report.missing.filter((name) => !isAllowed(name));
  const wrongShape = report.wrongShape.filter(({ name }) => !isAllowed(name));
  if (missing.length + wrongShape.length === 0) return;
  // In another dialect the name that the file would have to use says more than ours.
  const bothNames = (name: string) => {
    const source = dialect.locate(name)?.name;
    return source === undefined || source === name ? name : `${name} ('${source}')`;
  };
  const dims = new Map(parameters.map((parameter) => [parameter.name, parameter.dims]));
  const lines = [
    `${file.path}: expected ${parameters.length - report.leftOut.length} parameters (${report.dialect} names), ` +
      `received ${report.loaded.length}: ${missing.length} missing, ${wrongShape.length} of a wrong shape or type.`,
    ...missing.map((name) => `  missing: ${bothNames(name)} [${dims.get(name)!.join(', ')}]`),
    ...wrongShape.map(
      ({ name, expected, received, type }) =>
        `  wrong shape: ${bothNames(name)}: expected floating-point [${expected.join(', ')}], received ${type} [${received.join(', ')}]`,
    ),
  ];
  if (file.ignored.length > 0) lines.push(`Not read, because it holds no tensor: ${file.ignored.join(', ')}`);
  lines.push(
    'Get the complete weights of this network, or name what may keep its first values: --allow-missing <pattern>.',
  );
  throw new OrtuneError('WEIGHTS_MISMATCH', lines.join('\n'));
}

function noNames(file: WeightFile, parameters: readonly ParameterSpec[]): OrtuneError {
  const some = (names: Iterable<string>) => [...names].slice(0, 5).join(', ');
  return new OrtuneError(
    'WEIGHTS_NAMES',
    `${file.path}: expected tensors under ${DIALECTS.map(({ name }) => name).join(' or ')} names and of the network's shapes, ` +
      `but none of its ${file.tensors.size} fits. It holds ${some(file.tensors.keys())}, ...; the network has ` +
      `${some(parameters.map(({ name }) => name))}, ... To start from seeded noise, say --weights none.`,
  );
}

function sameDims(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((length, axis) => length === b[axis]);
}
