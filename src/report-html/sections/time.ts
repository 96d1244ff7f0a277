import { bars, roundUp } from '../chart.ts';
import { count, duration, percent, short } from '../format.ts';
import { html } from '../html.ts';
import type { Pass, Run } from '../read-result.ts';
import { type Section, section } from './section.ts';

export function time({ command, history, dataset, seconds, options, device }: Run): Section {
  const tested = dataset[options['watch'] === 'valid' ? 'valid' : 'test'];
  const seen = (pass: Pass) => dataset.train + (pass.testAccuracy === undefined ? 0 : tested);
  const speed = history.map((pass) => ({
    value: seen(pass) / pass.seconds,
    text: `pass ${pass.pass + 1}: ${short(seen(pass) / pass.seconds)} pictures a second, ${duration(pass.seconds)}`,
  }));
  const wait = history.map(({ pass, dataWait }) => ({
    value: dataWait,
    text: `pass ${pass + 1}: ${percent(dataWait)}`,
  }));
  const mostWaited = Math.max(...history.map(({ dataWait }) => dataWait));
  const passes = history.reduce((sum, pass) => sum + pass.seconds, 0);
  const typical = median(speed.map(({ value }) => value));
  const waited = history.reduce((sum, pass) => sum + pass.dataWait * pass.seconds, 0) / passes;
  const cached = command === 'pretrain' && passes < seconds / 2;
  const lead = `On ${device.device.toUpperCase()}, with ${count(device.threads, 'thread')}.${cached ? ' Passes go over features that were computed once, before them.' : ''}`;
  return section('time', 'Time and speed', lead, [
    html`<dl class="facts">
<div><dt>The whole run</dt><dd>${duration(seconds)}</dd></div>
${
  history.length > 0 &&
  html`<div><dt>Passes, with their tests</dt><dd>${duration(passes)}</dd></div>
<div><dt>Pictures a second, learnt from or tested</dt><dd>${short(typical)}</dd></div>
<div><dt>Waiting for pictures</dt><dd>${percent(waited)} of training</dd></div>`
}
</dl>`,
    history.length > 1 &&
      html`<div class="charts">${bars({
        title: 'Pictures a second',
        summary: `Pictures a second by pass, ${short(typical)} in the middle.`,
        bars: speed,
        most: roundUp(Math.max(...speed.map(({ value }) => value))),
        formatY: short,
      })}${
        mostWaited >= 0.01 &&
        bars({
          title: 'Waiting for pictures',
          summary: `Share of the time that steps waited for pictures by pass, ${percent(waited)} in all.`,
          bars: wait,
          most: Math.max(0.1, roundUp(mostWaited)),
          formatY: (value) => percent(value, 0),
        })
      }</div>`,
  ]);
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
