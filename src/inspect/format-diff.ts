import { type Change, type FileDiff, type PathDiff, type TensorChange, typeText } from './diff.ts';
import { alignColumns, count, counted, short } from './text.ts';
import type { TensorType } from './types.ts';

/** Tensors of a list that are shown unless all are asked for. */
const LISTED = 20;

/** A comparison in lines. */
export function formatDiff({ files, onlyInFirst, onlyInSecond }: PathDiff, verbose: boolean): string {
  return [
    ...onlyInFirst.map((path) => `Only in the first: ${path}`),
    ...onlyInSecond.map((path) => `Only in the second: ${path}`),
    ...files.map((file) => formatFile(file, verbose)),
  ].join('\n');
}

function formatFile({ from, to, result, changes, tensors }: FileDiff, verbose: boolean): string {
  const { onlyInFirst, onlyInSecond, reshaped, roles, changed, same, notCompared } = tensors;
  const rest =
    notCompared > 0
      ? [
          `  ${counted(notCompared, 'tensor')} not compared: without values in one of the two, as those taken from a checkpoint`,
        ]
      : [];
  if (result === 'identical') return `${from} and ${to}: identical to the last byte`;
  if (result === 'alike') {
    const what = 'inputs, outputs, operators by count, metadata and tensors are the same, though not all bytes are';
    return [`${from} and ${to}: ${what}`, ...rest].join('\n');
  }
  const shown = verbose ? changed : changed.slice(0, LISTED);
  const hidden = changed.length - shown.length;
  return [
    `${from} -> ${to}`,
    ...(verbose ? changes.map(changeLine) : alike(changes)),
    ...onlyLines('the first', onlyInFirst, verbose),
    ...onlyLines('the second', onlyInSecond, verbose),
    ...reshaped.map(changeLine),
    ...(verbose ? roles.map(changeLine) : alike(roles)),
    `  ${counted(changed.length, 'tensor')} changed in value, ${count(same)} the same to the last bit`,
    ...rest,
    ...(shown.length > 0 ? changedLines(shown) : []),
    ...(hidden > 0 ? [`  and ${count(hidden)} that changed less: --verbose lists them`] : []),
  ].join('\n');
}

const changeLine = ({ what, from, to }: Change) => `  ${what}: ${from ?? '(none)'} -> ${to ?? '(none)'}`;

function onlyLines(where: string, tensors: readonly TensorType[], verbose: boolean): string[] {
  const shown = verbose ? tensors : tensors.slice(0, LISTED);
  const hidden = tensors.length - shown.length;
  return [
    ...shown.map((tensor) => `  only in ${where}: ${tensor.name} ${typeText(tensor)}`),
    ...(hidden > 0 ? [`  only in ${where}: ${count(hidden)} more; --verbose lists them`] : []),
  ];
}

/** Changes in lines, those of whole layers of one kind (fifty BatchNorms, a backbone unfrozen) as one. */
function alike(changes: readonly Change[]): string[] {
  const groups = new Map<string, Change[]>();
  for (const change of changes) {
    // Words before the last, as BatchNorm in `BatchNorm bn_conv1`, say of what kind; tensors are named by one word.
    const kind = change.what.slice(0, change.what.lastIndexOf(' ') + 1);
    const alone = kind === 'operator ' && change.what;
    const key = JSON.stringify([kind, change.from, change.to, alone]);
    groups.set(key, [...(groups.get(key) ?? []), change]);
  }
  return [...groups.values()].flatMap(([first, ...others]) => {
    if (!first) return [];
    if (others.length < 3) return [first, ...others].map(changeLine);
    return [changeLine({ ...first, what: `${first.what} and ${counted(others.length, 'other')}` })];
  });
}

function changedLines(tensors: readonly TensorChange[]): string[] {
  const rows = tensors.map(({ name, role, relative, largest }) => [`  ${name}`, role, short(relative), short(largest)]);
  const header = ['  name', 'role', 'norm of the change / norm', 'largest change'];
  return alignColumns([header, ...rows], ['left', 'left', 'right', 'right']);
}
