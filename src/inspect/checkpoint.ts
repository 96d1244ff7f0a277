import { isUpdateState } from '../../onnx/names.ts';
import type { CheckpointTensor, StoredCheckpoint } from '../../onnx/read-checkpoint.ts';
import type { HeldTensor, OpenFile, Role, StageRoles } from './types.ts';

/**
 * Describes a checkpoint.
 * @param stage what the stage does, where its model is known: a checkpoint lists as frozen what live BatchNorm moves
 */
export function openCheckpoint(
  checkpoint: StoredCheckpoint,
  file: Pick<OpenFile, 'path' | 'content'>,
  stage?: StageRoles,
): OpenFile {
  const { trainable, frozen, optimizerGroups, properties, nominal, externalData } = checkpoint;
  const trained = new Set(trainable.map(({ name }) => name));
  const frozenRole = (name: string): Role => {
    if (isUpdateState(name, (parameter) => trained.has(parameter))) return 'optimizer';
    return stage?.moved.has(name) ? 'moved' : 'frozen';
  };
  const moments = optimizerGroups
    .flatMap(({ states }) => states)
    .flatMap(({ parameter, moments }) =>
      moments.map((moment) => held({ ...moment, name: `${parameter}.${moment.name}` }, 'optimizer')),
    );
  return {
    ...file,
    kind: 'checkpoint',
    checkpoint: {
      optimizerGroups: optimizerGroups.map(({ states, ...group }) => ({ ...group, parameters: states.length })),
      properties: Object.fromEntries([...properties].map(([name, value]) => [name, plain(value)])),
      nominal,
      externalData,
    },
    tensors: [
      ...trainable.map((tensor) => held(tensor, 'trained')),
      ...frozen.map((tensor) => held(tensor, frozenRole(tensor.name))),
      ...moments,
    ],
  };
}

/** A nominal checkpoint's tensors have neither shape nor values. */
function held({ data, ...tensor }: CheckpointTensor, role: Role): HeldTensor {
  const empty = data?.byteLength === 0 && !tensor.dims.includes(0);
  return { ...tensor, role, ...(data && !empty && { data }) };
}

const plain = (value: bigint | number | string) =>
  typeof value !== 'bigint' ? value : Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
