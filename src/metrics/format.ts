import type { EvaluationResult } from './evaluation.ts';

/** How many of each list the table shows. */
const SHOWN = 10;

/** An evaluation as text, 100 columns or less unless names are long: figures, then the worst of everything. */
export function formatEvaluation(result: EvaluationResult): string {
  const { pictures, notFinite, cost, top1, top5, meanPerClass, macro, calibration, mostConfused, topLosses } = result;
  const tested = result.classes.filter(({ support }) => support > 0);
  const untested = result.classes.length - tested.length;
  const figures = [
    ['top-1', percent(top1)],
    ['top-5', percent(top5)],
    ['mean per class', percent(meanPerClass)],
    ['macro F1', percent(macro.f1)],
    ['cost', cost === null ? '-' : cost.toFixed(4)],
    ['calibration error', percent(calibration.error)],
  ];
  const worst = tested
    .toSorted((a, b) => (a.recall ?? 0) - (b.recall ?? 0) || b.support - a.support)
    .filter(({ correct, support }) => correct < support)
    .slice(0, SHOWN)
    .map(({ name, support, correct, precision, recall }) => [
      name,
      percent(recall),
      `${correct} of ${support}`,
      precision === null ? 'never predicted' : percent(precision),
    ]);
  const confused = mostConfused
    .slice(0, SHOWN)
    .map(({ label, predicted, pictures: count, share }) => [
      `${label} taken for ${predicted}`,
      String(count),
      percent(share),
    ]);
  const losses = topLosses
    .slice(0, SHOWN)
    .filter(({ label, predicted }) => label !== predicted)
    .map(({ picture, label, predicted, probability, confidence }) => [
      String(picture),
      `${label} ${percent(probability)}`,
      `${predicted} ${percent(confidence)}`,
    ]);
  const counted = `${pictures} pictures of ${tested.length} classes`;
  return [
    `${counted}${untested > 0 ? `; ${untested} classes have none` : ''}`,
    table(figures),
    ...(notFinite > 0 ? [`${notFinite} pictures got scores that are no numbers, and count as wrong.`] : []),
    ...section('Worst classes', ['class', 'recall', 'right', 'precision'], worst),
    ...section('Most confused', ['pair', 'pictures', 'of the class'], confused),
    ...section('Furthest off', ['picture', 'is', 'predicted'], losses),
  ].join('\n');
}

function section(title: string, heading: string[], rows: string[][]): string[] {
  return rows.length > 0 ? ['', title, table([heading, ...rows])] : [];
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) => `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd())
    .join('\n');
}

const percent = (share: number | null) => (share === null ? '-' : `${(share * 100).toFixed(1)} %`);
