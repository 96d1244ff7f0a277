import { count, percent } from '../format.ts';
import { type Html, html } from '../html.ts';
import type { Metrics } from '../read-result.ts';
import { details, type Section, section } from './section.ts';

type Bin = Metrics['calibration']['bins'][number] & { readonly confidence: number; readonly accuracy: number };

export function calibration({ calibration: { error, bins }, pictures }: Metrics): Section {
  const filled = bins.filter((bin): bin is Bin => bin.confidence !== null && bin.accuracy !== null);
  const mean = (of: (bin: Bin) => number) => filled.reduce((sum, bin) => sum + of(bin) * bin.pictures, 0) / pictures;
  const [confidence, accuracy] = [mean((bin) => bin.confidence), mean((bin) => bin.accuracy)];
  return section(
    'calibration',
    'How sure it is',
    'Of the pictures that it is 80\u00a0% sure of, 80\u00a0% should be right. Dots on the line are; the larger a dot, the more pictures.',
    html`<div class="calibration">${diagram(filled, pictures)}
<div><p class="verdict">${verdict(confidence - accuracy)}</p>
<p>It gave its answers a probability of ${percent(confidence)} on average, and ${percent(accuracy)} of them were right. Calibration error: <b>${percent(error)}</b>.</p>
${details(
  'The figures',
  html`<table><thead><tr><th scope="col">probability</th><th scope="col">pictures</th><th scope="col">mean</th><th scope="col">right</th></tr></thead><tbody>${filled.map(
    ({ from, to, pictures, confidence, accuracy }) =>
      html`<tr><th scope="row">${percent(from, 0)} to ${percent(to, 0)}</th><td>${pictures}</td><td>${percent(confidence)}</td><td>${percent(accuracy)}</td></tr>\n`,
  )}</tbody></table>`,
)}</div></div>`,
  );
}

function verdict(difference: number): string {
  if (Math.abs(difference) < 0.02) return 'On average about as sure as it is right.';
  return difference > 0
    ? 'Surer than it is right: take its probabilities with care.'
    : 'Right more often than it is sure.';
}

/** A reliability diagram, 300 by 300 units with room for its axes. */
function diagram(bins: readonly Bin[], pictures: number): Html {
  const at = (share: number) => Number((share * 300).toFixed(1));
  return html`<svg class="reliability" viewBox="-44 -20 372 366" role="img" aria-label="Reliability diagram: share that was right over the probability given, in ${bins.length} groups.">
${[0, 0.5, 1].map(
  (share) =>
    html`<line class="grid" x2="300" y1="${at(share)}" y2="${at(share)}"/><text class="tick" x="-8" y="${at(1 - share) + 4}" text-anchor="end">${percent(share, 0)}</text><text class="tick" x="${at(share)}" y="318" text-anchor="middle">${percent(share, 0)}</text>`,
)}
<line class="ideal" y1="300" x2="300"/>
${bins.map(({ confidence, accuracy }) => html`<line class="off" x1="${at(confidence)}" x2="${at(confidence)}" y1="${at(1 - confidence)}" y2="${at(1 - accuracy)}"/>`)}
${bins.map(
  ({ confidence, accuracy, pictures: some }) =>
    html`<circle cx="${at(confidence)}" cy="${at(1 - accuracy)}" r="${(3 + 15 * Math.sqrt(some / pictures)).toFixed(1)}"><title>${count(some, 'picture')}: ${percent(confidence)} sure, ${percent(accuracy)} right</title></circle>`,
)}
<text class="axis" x="150" y="338" text-anchor="middle">probability given</text>
<text class="axis" x="6" y="10">share that was right</text>
</svg>`;
}
