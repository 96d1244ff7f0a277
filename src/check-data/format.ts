/** A report as text for a terminal. */
import { relative } from 'node:path';
import { printable } from '../data/index.ts';
import { type DataProblem, type DataReport, PARTS, type PartCounts, PROBLEM_CODES, type ProblemCode } from './types.ts';

export const PROBLEM_TITLES: Readonly<Record<ProblemCode, string>> = {
  IMAGE_UNREADABLE: 'cannot be decoded; training stops, or leaves them out with --on-bad-image skip',
  LEAK_DUPLICATE: 'the same file in two parts of the split; tests look better than they are',
  LEAK_NEAR_DUPLICATE: 'nearly the same picture in two parts of the split; tests look better than they are',
  LABELS_DUPLICATE: 'the same file in two classes; one of them is wrong',
  LABELS_NEAR_DUPLICATE: 'nearly the same picture in two classes; look which is right',
  CLASS_UNTESTED: 'classes without a test picture; nothing will tell how well they are known',
  CLASS_FEW: 'classes of few training pictures, of which little can be learnt',
  CLASS_IMBALANCE: 'classes of very different size; the larger will be named too often',
  DUPLICATE: 'the same file again, in the same class and part',
  NEAR_DUPLICATE: 'nearly the same picture again, in the same class and part',
  IMAGE_TINY: 'tiny pictures; enlarged they are a blur',
  IMAGE_PLAIN: 'pictures that show nothing',
  EXTENSION_MISMATCH: 'the extension of another format; read all the same',
  DATASET_NOTE: 'to know of',
};
const SHOWN_PROBLEMS = 5;
const SHOWN_CLASSES = 20;
const BAR = 40;

/** @param verbose all classes and problems, not the first of many alone */
export function formatReport(report: DataReport, verbose: boolean): string {
  const { kind, root, split, classes, parts } = report;
  const blocks = [
    `${root}: ${kind}, split ${split}\n` +
      `${classes.length} classes, ${PARTS.map((part) => `${parts[part]} ${part}`).join(', ')}`,
    formatClasses(classes, verbose),
    formatSizes(report),
    formatProblems(report, verbose),
  ];
  return blocks.filter(Boolean).join('\n\n');
}

function formatClasses(classes: DataReport['classes'], verbose: boolean): string {
  const sorted = [...classes].sort((a, b) => b.train - a.train);
  const all = verbose || sorted.length <= SHOWN_CLASSES;
  const half = SHOWN_CLASSES / 4;
  const rows = all ? sorted : [...sorted.slice(0, half), ...sorted.slice(-half)];
  const width = Math.max(5, ...rows.map(({ name }) => name.length));
  const line = (name: string, counts: Readonly<Record<keyof PartCounts, string | number>>) =>
    name.padEnd(width) + PARTS.map((part) => String(counts[part]).padStart(8)).join('');
  const lines = rows.map((row) => line(row.name, row));
  if (!all) lines.splice(half, 0, `... ${sorted.length - rows.length} classes between (--verbose lists all)`);
  return [line('class', { train: 'train', valid: 'valid', test: 'test' }), ...lines].join('\n');
}

function formatSizes({ formats, width, height, shortSides }: DataReport): string {
  if (!width || !height) return '';
  const most = Math.max(...shortSides.map(({ count }) => count));
  const first = shortSides.findIndex(({ count }) => count > 0);
  const last = shortSides.findLastIndex(({ count }) => count > 0);
  const lines = shortSides.slice(first, last + 1).map(({ from, to, count }) => {
    const range = to === null ? `${from} and up` : `${from} to ${to - 1}`;
    return `  ${range.padEnd(12)} ${String(count).padStart(7)} ${'#'.repeat(Math.ceil((count / most) * BAR))}`;
  });
  const names = Object.entries(formats).map(([format, count]) => `${count} ${format.toUpperCase()}`);
  return [
    names.join(', '),
    `Width ${width.min} to ${width.max} (median ${width.median}), height ${height.min} to ${height.max} (median ${height.median})`,
    'Short side in pixels:',
    ...lines,
  ].join('\n');
}

function formatProblems({ problems, root, seconds }: DataReport, verbose: boolean): string {
  const blocks = PROBLEM_CODES.flatMap((code) => {
    const found = problems.filter((problem) => problem.code === code);
    return found.length === 0 ? [] : [formatGroup(code, found, root, verbose)];
  });
  const errors = problems.filter(({ severity }) => severity === 'error').length;
  const summary = `${count(errors, 'error')}, ${count(problems.length - errors, 'warning')} (${seconds.toFixed(1)} s)`;
  return [...blocks, summary].join('\n\n');
}

function formatGroup(code: ProblemCode, found: readonly DataProblem[], root: string, verbose: boolean): string {
  const heading = `${found[0]!.severity === 'error' ? 'Error' : 'Warning'} ${code} (${found.length}): ${PROBLEM_TITLES[code]}`;
  const lines = found.slice(0, verbose ? found.length : SHOWN_PROBLEMS).map(({ path, message }) => {
    const name = relative(root, path);
    return `  ${printable(name === '' ? message : `${name}: ${message}`)}`;
  });
  if (lines.length < found.length) lines.push(`  and ${found.length - lines.length} more (--verbose lists all)`);
  return [heading, ...lines].join('\n');
}

const count = (number: number, word: string) => `${number} ${word}${number === 1 ? '' : 's'}`;
