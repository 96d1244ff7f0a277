import { describe, expect, it } from 'vitest';
import { date, duration, interval, percent, short } from '../../src/report-html/format.ts';
import { html, jsonElement, name, raw } from '../../src/report-html/html.ts';

describe('html', () => {
  it('takes what is put in for text, unless it is HTML', () => {
    const text = `<a href="x">'&`;
    expect(html`<p title="${text}">${text}</p>`.text).toBe(
      '<p title="&lt;a href=&quot;x&quot;&gt;&#39;&amp;">&lt;a href=&quot;x&quot;&gt;&#39;&amp;</p>',
    );
    expect(html`${[html`<b>${'<'}</b>`, undefined, false, 0, raw('<i>')]}`.text).toBe('<b>&lt;</b>0<i>');
    expect(name('\u202e</bdi>').text).toBe('<bdi>\u202e&lt;/bdi&gt;</bdi>');
    expect(name('<'.repeat(81)).text).toBe(`<bdi title="${'&lt;'.repeat(81)}">${'&lt;'.repeat(79)}…</bdi>`);
  });

  it('keeps data within its element', () => {
    const value = ['</script>', '<!--', '\u2028'];
    const { text } = jsonElement('data', value);
    const json = /^<script type="application\/json" id="data">([^<]*)<\/script>$/.exec(text)?.[1];
    expect(JSON.parse(json as string)).toEqual(value);
  });
});

describe('figures', () => {
  it.each([
    [percent(0.85), '85.0\u00a0%'],
    [percent(null), '–'],
    [short(0.001), '0.001'],
    [short(1e-4), '1e-4'],
    [short(2.5e-5), '2.5e-5'],
    [short(123.456), '123'],
    [short(17_960), '18000'],
    [short(0), '0'],
    [duration(0.0136), '0.01\u00a0s'],
    [duration(59.7), '60\u00a0s'],
    [duration(432), '7\u00a0min'],
    [duration(3 * 3600 + 120), '3\u00a0h 2\u00a0min'],
    [date('2026-03-01T23:59:59.999Z'), '1\u00a0March\u00a02026'],
  ])('%s', (given, expected) => expect(given).toBe(expected));

  it('have the score interval of Wilson, by hand in double precision', () => {
    const [low, high] = interval(0.91, 100);
    expect(low).toBeCloseTo(0.837738, 5);
    expect(high).toBeCloseTo(0.951927, 5);
    expect(interval(1, 10)[1]).toBeCloseTo(1, 12);
    expect(interval(0, 10)[0]).toBeCloseTo(0, 12);
  });
});
