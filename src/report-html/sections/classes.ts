import { count, percent } from '../format.ts';
import { type Html, html, name } from '../html.ts';
import type { Metrics } from '../read-result.ts';
import { meter, type Section, section } from './section.ts';

const COLUMNS = ['Class', 'Right', 'Recall', 'Precision', 'F1', 'Mostly taken for'] as const;

/** The worst class first, as a reader without scripts sees it. */
export function classes({ classes, confusion }: Metrics): Section {
  const order = classes
    .map((_, label) => label)
    .sort((a, b) => (classes[a]!.recall ?? 2) - (classes[b]!.recall ?? 2) || classes[b]!.support - classes[a]!.support);
  const rows = order.map((label): Html => {
    const { name: title, support, correct, recall, precision, f1 } = classes[label]!;
    const other = mostTaken(confusion[label]!, label);
    return html`<tr><th scope="row" data-value="${title}">${name(title)}</th><td data-value="${correct}">${correct}/${support}</td><td data-value="${recall ?? ''}">${meter(recall)}<span class="number">${percent(recall)}</span></td><td data-value="${precision ?? ''}">${percent(precision)}</td><td data-value="${f1 ?? ''}">${percent(f1)}</td><td data-value="${other?.count ?? 0}">${other && html`${name(classes[other.predicted]!.name)} <small>${other.count}\u00a0×</small>`}</td></tr>
`;
  });
  return section(
    'classes',
    'Class by class',
    'Recall: of the pictures of a class, how many were found. Precision: of those given its name, how many were of it. Press a heading to sort.',
    html`<div class="tools" hidden><label for="filter">Only classes with</label><input id="filter" type="search" autocomplete="off" spellcheck="false"><output aria-live="polite">${count(classes.length, 'class', 'classes')}</output></div>
<table id="table" class="classes"><thead><tr>${COLUMNS.map((title) => html`<th scope="col"${title === 'Recall' && html` aria-sort="ascending"`}>${title}</th>`)}</tr></thead>
<tbody>${rows}</tbody></table>
<button type="button" id="all" hidden>Show all ${classes.length} classes</button>`,
  );
}

/** The class that most of a row's mistakes went to. */
function mostTaken(row: readonly number[], label: number): { predicted: number; count: number } | undefined {
  let best: { predicted: number; count: number } | undefined;
  for (const [predicted, count] of row.entries()) {
    if (predicted !== label && count > (best?.count ?? 0)) best = { predicted, count };
  }
  return best;
}
