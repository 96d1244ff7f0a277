import { basename } from 'node:path';
import { count, date, fixed, interval, percent } from '../format.ts';
import { type Html, html, name } from '../html.ts';
import type { Result } from '../read-result.ts';
import type { Section } from './section.ts';

/** What the report is called: the data set by its folder's name. */
export const titleOf = ({ run }: Result): string => basename(run.dataset.root) || run.dataset.root;

export function header(result: Result, sections: readonly Section[]): Html {
  const { run, metrics } = result;
  const depth = run.network['depth'];
  const network = typeof depth === 'number' ? `ResNet${depth}` : 'A network';
  const learnt = run.command === 'pretrain' ? `A new head on ${network}` : network;
  return html`<header>
<p class="kicker"><span>ortune ${run.versions['ortune']}</span><time datetime="${run.started}">${date(run.started)}</time></p>
<h1>${name(titleOf(result))}</h1>
<p class="intro">${learnt} learnt ${count(run.dataset.classes, 'class', 'classes')} from ${count(run.dataset.train, 'picture')}.</p>
${metrics ? figures(metrics) : html`<p class="untested">It was not tested: there are no figures of how good it is. <code>ortune evaluate</code> finds them out.</p>`}
<nav aria-label="Parts of this report">${sections.map(({ id, title }) => html`<a href="#${id}">${title}</a>`)}</nav>
</header>
`;
}

function figures(metrics: NonNullable<Result['metrics']>): Html {
  const { pictures, top1, top5, meanPerClass, cost, calibration, notFinite, data } = metrics;
  const correct = metrics.classes.reduce((sum, { correct }) => sum + correct, 0);
  const [low, high] = interval(top1 ?? 0, pictures);
  const small: [string, string, string][] = [
    // Of five classes or fewer it is always among five.
    ...(metrics.classes.length > 5
      ? [['top-5', percent(top5), 'the right one is among five'] as [string, string, string]]
      : []),
    ['mean per class', percent(meanPerClass), 'every class counts the same'],
    ['cost', fixed(cost, 4), 'mean cross-entropy, in nats'],
    ['calibration error', percent(calibration.error), 'how far off its certainty is'],
  ];
  return html`<div class="figures">
<div class="key"><p class="value" data-figure="top-1">${top1 === null ? percent(top1) : html`${(top1 * 100).toFixed(1)}<span class="unit">%</span>`}</p>
<p class="meaning">top-1: ${correct} of ${count(pictures, `${data.part} picture`)} named right${data.flip && ', by the mean with their mirror images'}.
<span>On other such pictures, likely ${(low * 100).toFixed(0)} to ${percent(high, 0)} (95\u00a0% interval).</span></p></div>
<dl>${small.map(([title, value, note]) => html`<div><dt>${title}</dt><dd data-figure="${title}">${value}</dd><dd class="note">${note}</dd></div>`)}</dl>
${notFinite > 0 && html`<p class="warning">${count(notFinite, 'picture')} got scores that are no numbers, and count as wrong.</p>`}
</div>`;
}
