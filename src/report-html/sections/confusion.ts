import { count, percent } from '../format.ts';
import { html, jsonElement, name, shortened } from '../html.ts';
import type { Metrics } from '../read-result.ts';
import { firstOf, meter, type Section, section } from './section.ts';

export function confusion({ classes, confusion: rows, mostConfused, pictures }: Metrics): Section {
  // Most places hold nothing: of each other one its row, its column and its count.
  const cells = rows.flatMap((row, label) =>
    row.flatMap((count, predicted) => (count > 0 ? [[label, predicted, count] as const] : [])),
  );
  const wrong = cells.reduce((sum, [label, predicted, count]) => sum + (label === predicted ? 0 : count), 0);
  const data = {
    classes: classes.map(({ name }) => shortened(name)),
    support: classes.map(({ support }) => support),
    cells: cells.flat(),
  };
  const summary = `Confusion matrix of ${classes.length} classes: ${pictures - wrong} pictures on the diagonal are right, ${wrong} beside it are not. Arrow keys go from place to place, N and P to the next and the previous mistake.`;
  return section(
    'confusion',
    'What it mixes up',
    html`A row is what pictures show, a column what they were taken for. The diagonal is right; <b class="test">what lies beside it</b> is not.`,
    [
      html`<div class="matrix">
<output id="cell" aria-live="polite">${count(wrong, 'mistake')} in ${count(pictures, 'picture')}. Point at a place<span class="keys">, or go there by the arrow keys; N and P go from mistake to mistake</span>.</output>
<canvas id="matrix" role="img" tabindex="0" aria-label="${summary}" aria-describedby="cell"></canvas>
<noscript><p class="note">The matrix is drawn by a script; the pairs below are its largest mistakes.</p></noscript>
</div>`,
      jsonElement('matrix-data', data),
      html`<h3>Most confused pairs</h3>`,
      mostConfused.length === 0
        ? html`<p>No picture was taken for another class.</p>`
        : firstOf(
            mostConfused.map(
              ({ label, predicted, pictures, share }) =>
                html`<li><span class="pair">${name(label)} <span class="taken">taken for</span> ${name(predicted)}</span>${meter(share)}<span class="amount">${pictures} of ${Math.round(pictures / share)} <small>${percent(share, 0)}</small></span></li>\n`,
            ),
            10,
            (items) => html`<ol class="pairs">${items}</ol>`,
          ),
    ],
  );
}
