import { relative } from 'node:path';
import { PROBLEM_TITLES } from '../../check-data/format.ts';
import type { DataReport, ProblemCode } from '../../check-data/index.ts';
import { count } from '../format.ts';
import { type Html, html } from '../html.ts';
import { details, type Section, section } from './section.ts';

/** Of each kind of problem, as many are listed. */
const LISTED = 50;

export function findings(report: DataReport): Section {
  const { problems, root, formats, width, height, classes } = report;
  const codes = [...new Set(problems.map(({ code }) => code))];
  const kinds = Object.entries(formats).map(([format, number]) => `${number} ${format.toUpperCase()}`);
  const trained = classes.map(({ train }) => train);
  return section('data', 'What the data check found', 'Before training, every picture was looked through.', [
    html`<dl class="facts">
<div><dt>Files</dt><dd>${kinds.join(', ')}</dd></div>
${width && height && html`<div><dt>Sizes</dt><dd>${width.min} to ${width.max} wide, ${height.min} to ${height.max} high; half are above ${width.median} × ${height.median}</dd></div>`}
<div><dt>Training pictures of a class</dt><dd>${Math.min(...trained)} to ${Math.max(...trained)}</dd></div>
</dl>`,
    codes.length === 0
      ? html`<p class="fine">Nothing is wrong with it.</p>`
      : codes.map((code) => group(code, report, root)),
  ]);
}

function group(code: ProblemCode, { problems }: DataReport, root: string): Html {
  const found = problems.filter((problem) => problem.code === code);
  const items = found.slice(0, LISTED).map(({ path, message }) => {
    const file = relative(root, path);
    return html`<li>${file !== '' && html`<bdi class="path">${file}</bdi>: `}${message}</li>\n`;
  });
  const more = found.length > items.length && html`<li>and ${found.length - items.length} more</li>`;
  const severity = found[0]!.severity;
  return details(
    html`<span class="severity${severity === 'error' && ' error'}">${count(found.length, severity)}</span> ${PROBLEM_TITLES[code]}`,
    html`<ul class="problems">${items}${more}</ul>`,
  );
}
