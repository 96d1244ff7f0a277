import { basename } from 'node:path';
import { FLAG_ENDING } from '../../onnx/names.ts';
import { OrtuneError } from '../errors.ts';
import type { OpenPath } from './open.ts';
import type { HeldTensor, OpenFile, Role, TensorType } from './types.ts';
import { compareValues, numbersOf, type ValueChange } from './values.ts';

/** Something that reads differently in the other file; `undefined` where one has no such thing. */
export interface Change {
  readonly what: string;
  readonly from: string | undefined;
  readonly to: string | undefined;
}

export interface TensorChange extends ValueChange {
  readonly name: string;
  readonly role: Role;
}

/** What is different in another file. */
export interface FileDiff {
  readonly from: string;
  readonly to: string;
  /** `alike`: the bytes differ, but nothing of what is compared does (attributes and the wiring of nodes are not). */
  readonly result: 'identical' | 'alike' | 'different';
  /** Kind, inputs, outputs, operators (by count), operator sets, metadata, BatchNorm, optimizer steps, properties. */
  readonly changes: readonly Change[];
  readonly tensors: {
    readonly onlyInFirst: readonly TensorType[];
    readonly onlyInSecond: readonly TensorType[];
    /** Type or shape. */
    readonly reshaped: readonly Change[];
    /** Trained, frozen, ... */
    readonly roles: readonly Change[];
    /** In value, the most changed first. */
    readonly changed: readonly TensorChange[];
    /** How many are the same to the last bit. */
    readonly same: number;
    /** How many have no values that could be compared, as those that a model takes from a checkpoint. */
    readonly notCompared: number;
  };
}

export interface PathDiff {
  readonly files: readonly FileDiff[];
  /** Files of a folder that the other lacks. */
  readonly onlyInFirst: readonly string[];
  readonly onlyInSecond: readonly string[];
}

/**
 * Compares two files, or two folders file by file.
 * @param wanted which tensors to compare
 * @throws OrtuneError `INSPECT_DIFF` for a file and a folder
 */
export async function diffPaths(
  first: OpenPath,
  second: OpenPath,
  wanted: (tensor: HeldTensor) => boolean = () => true,
): Promise<PathDiff> {
  if (first.isFolder !== second.isFolder) {
    const [folder, file] = first.isFolder ? [first.path, second.path] : [second.path, first.path];
    throw new OrtuneError(
      'INSPECT_DIFF',
      `expected two files or two folders to compare, received the folder ${folder} and the file ${file}. Name a file in the folder.`,
    );
  }
  const partner = ({ path }: OpenFile, files: readonly OpenFile[]) =>
    first.isFolder ? files.find((file) => basename(file.path) === basename(path)) : files[0];
  const files: FileDiff[] = [];
  for (const file of first.files) {
    const other = partner(file, second.files);
    if (other) files.push(await diffFiles(file, other, wanted));
  }
  const alone = (files: readonly OpenFile[], others: readonly OpenFile[]) =>
    files.filter((file) => !partner(file, others)).map(({ path }) => path);
  return {
    files,
    onlyInFirst: alone(first.files, second.files),
    onlyInSecond: alone(second.files, first.files),
  };
}

async function diffFiles(
  first: OpenFile,
  second: OpenFile,
  wanted: (tensor: HeldTensor) => boolean,
): Promise<FileDiff> {
  const changes = compareFacts(factsOf(first), factsOf(second));
  // A buffer comes and goes with its parameter's training, which is said of the parameter.
  const compared = (tensor: HeldTensor) => tensor.role !== 'gradient' && wanted(tensor);
  const tensors = await diffTensors(first.tensors.filter(compared), second.tensors.filter(compared));
  const { onlyInFirst, onlyInSecond, reshaped, roles, changed } = tensors;
  const different = [changes, onlyInFirst, onlyInSecond, reshaped, roles, changed].some((list) => list.length > 0);
  const identical = Buffer.compare(first.content, second.content) === 0;
  const result = different ? 'different' : identical ? 'identical' : 'alike';
  return { from: first.path, to: second.path, result, changes, tensors };
}

async function diffTensors(first: readonly HeldTensor[], second: readonly HeldTensor[]): Promise<FileDiff['tensors']> {
  const others = new Map(second.map((tensor) => [tensor.name, tensor]));
  const names = new Set(first.map(({ name }) => name));
  const reshaped: Change[] = [];
  const roles: Change[] = [];
  const changed: TensorChange[] = [];
  let [same, notCompared] = [0, 0];
  for (const tensor of first) {
    const other = others.get(tensor.name);
    if (!other) continue;
    const { name, role } = tensor;
    if (role !== other.role) roles.push({ what: name, from: role, to: other.role });
    const [from, to] = [typeText(tensor), typeText(other)];
    if (from !== to) {
      reshaped.push({ what: name, from, to });
    } else if (tensor.data && other.data && Buffer.compare(tensor.data, other.data) === 0) {
      same++;
    } else {
      const [before, after] = [numbersOf(tensor), numbersOf(other)];
      if (before && after) changed.push({ name, role, ...(await compareValues(before, after)) });
      else notCompared++;
    }
  }
  const only = (tensors: readonly HeldTensor[], isThere: (name: string) => boolean) =>
    tensors.filter(({ name }) => !isThere(name)).map(({ name, type, dims }) => ({ name, type, dims }));
  // NaN, from values that are, counts as the largest change there is.
  const weight = ({ relative }: ValueChange) => (Number.isNaN(relative) ? Number.POSITIVE_INFINITY : relative);
  return {
    onlyInFirst: only(first, (name) => others.has(name)),
    onlyInSecond: only(second, (name) => names.has(name)),
    reshaped,
    roles,
    changed: changed.sort((one, other) => (weight(one) === weight(other) ? 0 : weight(other) - weight(one))),
    same,
    notCompared,
  };
}

/** A tensor's type and shape, as `float32 [64, 3, 7, 7]`. */
export const typeText = ({ type, dims }: Omit<TensorType, 'name'>) => `${type} [${dims.join(', ')}]`;

/** All that a file says beside its tensors, by what it is about. */
function factsOf({ kind, graph, checkpoint }: OpenFile): Map<string, string> {
  const facts: [string, string][] = [['kind', kind]];
  if (graph) {
    for (const input of graph.inputs) facts.push([`input ${input.name}`, typeText(input)]);
    for (const output of graph.outputs)
      if (!output.name.endsWith(FLAG_ENDING)) facts.push([`output ${output.name}`, typeText(output)]);
    for (const [operator, count] of Object.entries(graph.operators))
      facts.push([`operator ${operator}`, String(count)]);
    for (const [domain, version] of Object.entries(graph.opsets))
      facts.push([`operator set ${domain || 'ai.onnx'}`, String(version)]);
    for (const [key, value] of Object.entries(graph.metadata)) facts.push([`metadata ${key}`, value]);
    for (const { name, mode } of graph.batchNorms) facts.push([`BatchNorm ${name}`, mode]);
  }
  for (const { name, step, initialLearningRate } of checkpoint?.optimizerGroups ?? []) {
    facts.push([`steps of ${name}`, String(step)], [`initial learning rate of ${name}`, String(initialLearningRate)]);
  }
  for (const [name, value] of Object.entries(checkpoint?.properties ?? {}))
    facts.push([`property ${name}`, String(value)]);
  return new Map(facts);
}

function compareFacts(first: ReadonlyMap<string, string>, second: ReadonlyMap<string, string>): Change[] {
  return [...new Set([...first.keys(), ...second.keys()])]
    .map((what) => ({ what, from: first.get(what), to: second.get(what) }))
    .filter(({ from, to }) => from !== to);
}
