import { basename } from 'node:path';
import { FLAG_ENDING } from '../../onnx/names.ts';
import { typeText } from './diff.ts';
import { alignColumns, count, counted, short } from './text.ts';
import {
  type BatchNormDescription,
  type CheckpointDescription,
  type FileDescription,
  type GraphDescription,
  PARAMETER_ROLES,
  type Role,
  type TensorDescription,
  type TensorType,
} from './types.ts';

const ROLE_TEXT: Readonly<Record<Role, string>> = {
  trained: 'trained',
  moved: 'moved by live BatchNorm',
  frozen: 'frozen',
  parameter: 'parameters',
  optimizer: 'optimizer state',
  gradient: 'gradient buffers',
  constant: 'constants',
};

/** A file in lines: what it is, takes, gives and holds; its tensors are left to {@link formatTensors}. */
export function formatFile(file: FileDescription): string {
  const groups = file.groups.map(({ role, tensors, elements, bytes }) => [
    `  ${ROLE_TEXT[role]}`,
    counted(tensors, 'tensor'),
    counted(elements, 'number'),
    `${count(bytes)} bytes`,
  ]);
  return [
    `${file.path}: ${file.kind}, ${count(file.bytes)} bytes`,
    ...(file.graph ? graphLines(file.graph) : []),
    ...(file.checkpoint ? checkpointLines(file.checkpoint) : []),
    ...alignColumns(groups, ['left', 'right', 'right', 'right']),
    ...hints(file),
  ].join('\n');
}

function graphLines(graph: GraphDescription): string[] {
  const flags = graph.outputs.filter(({ name }) => name.endsWith(FLAG_ENDING)).length;
  const outputs = graph.outputs.filter(({ name }) => !name.endsWith(FLAG_ENDING));
  const tensor = (value: TensorType) => `${value.name} ${typeText(value)}`;
  const opsets = Object.entries(graph.opsets).map(([domain, version]) => `${domain || 'ai.onnx'} ${version}`);
  return [
    `  inputs: ${graph.inputs.map(tensor).join('; ')}`,
    `  outputs: ${[...outputs.map(tensor), ...(flags > 0 ? [`${counted(flags, 'flag')} of gradient buffers`] : [])].join('; ')}`,
    `  operators: ${Object.entries(graph.operators)
      .map(([name, times]) => `${name} ${times}`)
      .join(', ')}`,
    `  operator sets: ${opsets.join(', ')}${graph.producer && `; written by ${graph.producer}`}`,
    ...(graph.batchNorms.length > 0 ? [`  BatchNorm: ${batchNormText(graph.batchNorms)}`] : []),
    ...Object.entries(graph.metadata).map(
      ([key, value]) => `  ${key}: ${value.length > 200 ? `${value.slice(0, 200)}…` : value}`,
    ),
  ];
}

function batchNormText(layers: readonly BatchNormDescription[]): string {
  const live = layers.filter(({ mode }) => mode === 'live');
  const frozen = layers.filter(({ mode }) => mode === 'frozen');
  const names = (some: readonly BatchNormDescription[]) =>
    live.length > 0 && frozen.length > 0 ? ` (${some.map(({ name }) => name).join(', ')})` : '';
  return [
    ...(live.length > 0 ? [`${live.length} live${names(live)}`] : []),
    ...(frozen.length > 0 ? [`${frozen.length} on their running statistics${names(frozen)}`] : []),
  ].join(', ');
}

function checkpointLines({ optimizerGroups, properties, nominal, externalData }: CheckpointDescription): string[] {
  return [
    ...optimizerGroups.map(
      ({ name, step, initialLearningRate, parameters }) =>
        `  optimizer ${name}: ${counted(step, 'step')}, initial learning rate ${Number(initialLearningRate.toPrecision(4))}, moments of ${counted(parameters, 'parameter')}`,
    ),
    ...Object.entries(properties).map(([name, value]) => `  property ${name}: ${value}`),
    ...(nominal ? ['  nominal: names without values'] : []),
    ...(externalData ? ['  values in another file, beside it: <checkpoint>.data'] : []),
  ];
}

/** What the file itself cannot tell. */
function hints({ kind, groups }: FileDescription): string[] {
  const has = (role: Role) => groups.some((group) => group.role === role);
  if (has('parameter'))
    return [
      '  What is trained is a matter of a stage: its training model, its checkpoint, or the folder with it tells.',
    ];
  if (kind === 'checkpoint' && has('frozen'))
    return ['  Frozen ones have no gradient; if they are running statistics, live BatchNorm moves them all the same.'];
  return [];
}

const HEADER = ['role', 'type', 'shape', 'norm', 'mean', 'min', 'max'];

/** Tensors in aligned columns under a header, a line each. */
export function formatTensors(tensors: readonly TensorDescription[]): string {
  const rows = tensors.map(({ name, role, type, dims, values }) => [
    name,
    role,
    type,
    `[${dims.join(', ')}]`,
    ...(values ? [values.norm, values.mean, values.min, values.max].map(short) : ['-', '-', '-', '-']),
    ...(values && values.nonFinite > 0 ? [`${count(values.nonFinite)} not finite`] : []),
  ]);
  return alignColumns(
    [['name', ...HEADER], ...rows],
    ['left', 'left', 'left', 'left', 'right', 'right', 'right', 'right', 'left'],
  ).join('\n');
}

/**
 * The tensors to list for a folder's files: those of the one that knows most of the network, with the values that it
 * lacks taken from the checkpoint.
 */
export function mainTensors(files: readonly FileDescription[]): readonly TensorDescription[] {
  const named = (name: string) => files.find(({ path }) => basename(path) === name);
  const checkpoint = files.find(({ kind }) => kind === 'checkpoint');
  const main =
    files.find(({ kind }) => kind === 'training model') ?? named('graph.onnx') ?? named('model.onnx') ?? checkpoint;
  if (!main) return files[0]?.tensors ?? [];
  const stored = new Map((checkpoint?.tensors ?? []).map((tensor) => [tensor.name, tensor.values]));
  const own = main.tensors.map((tensor) => {
    const values = tensor.values ?? stored.get(tensor.name);
    return { ...tensor, ...(values && { values }) };
  });
  const listed = new Set(own.map(({ name }) => name));
  return [...own, ...(checkpoint?.tensors ?? []).filter(({ name }) => !listed.has(name))];
}

/** Whether a tensor is listed when nobody asked for others. */
export const isParameter = ({ role }: { role: Role }) => PARAMETER_ROLES.has(role);
