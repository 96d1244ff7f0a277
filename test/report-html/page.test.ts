import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { DataReport } from '../../src/check-data/index.ts';
import type { EvaluationResult } from '../../src/metrics/index.ts';
import { shortened } from '../../src/report-html/html.ts';
import { writeReport } from '../../src/report-html/index.ts';
import { describeInBrowser, launchBrowser } from '../browser.ts';
import { writeResult } from './fixture.ts';

const HOSTILE = [
  '<script>document.title = "taken over"</script>',
  '</script><img src=x onerror=alert(1)>',
  `"quoted" 'and' <b>bold</b> &amp;`,
  'שלום עולם',
  '\u202eturned',
  'endless'.repeat(60),
  'many words '.repeat(30),
  '日本語の名前',
  '-->',
  `\${name}`,
];
const FLOWERS = Array.from({ length: 102 }, (_, label) => `flower ${label + 1}`);
const SIZES = [360, 768, 1280];

describeInBrowser('a report in Chromium', () => {
  let folder: string;
  let browser: Browser;
  const files = new Map<string, { path: string; metrics: EvaluationResult }>();
  /** What no page may do. */
  const wrongs: string[] = [];

  beforeAll(async () => {
    browser = await launchBrowser();
    folder = await mkdtemp(join(tmpdir(), 'ortune-page-'));
    const kinds = { hostile: HOSTILE, many: FLOWERS, two: ['cat', 'dog'] };
    for (const [kind, classes] of Object.entries(kinds)) {
      const at = join(folder, kind);
      const metrics = await writeResult(at, { classes, steps: 50, out: "o'models" });
      files.set(kind, {
        metrics,
        path: await writeReport(join(at, 'result'), { checkFindings: findings(join(at, 'pictures')) }),
      });
    }
  });
  afterAll(async () => {
    await browser?.close();
    await rm(folder, { recursive: true, force: true });
    expect(wrongs).toEqual([]);
  });

  async function open(kind: string, options: Parameters<Browser['newPage']>[0] = {}): Promise<Page> {
    const page = await browser.newPage({ viewport: { width: 1280, height: 800 }, ...options });
    const { href } = pathToFileURL(files.get(kind)?.path as string);
    page.on('console', (message) => wrongs.push(`${message.type()}: ${message.text()}`));
    page.on('pageerror', (error) => wrongs.push(String(error)));
    page.on('dialog', (dialog) => wrongs.push(`dialog: ${dialog.message()}`));
    page.on('request', (request) => {
      if (request.url() !== href && !request.url().startsWith('data:')) wrongs.push(`request: ${request.url()}`);
    });
    await page.goto(href);
    return page;
  }
  const metricsOf = (kind: string) => files.get(kind)?.metrics as EvaluationResult;
  const text = (page: Page, selector: string) => page.locator(selector).innerText();

  it.each(['many', 'two', 'hostile'])('shows the figures of metrics.json: %s', async (kind) => {
    const page = await open(kind);
    const { top1, top5, meanPerClass, cost, calibration, classes } = metricsOf(kind);
    const percent = (share: number | null) => `${((share as number) * 100).toFixed(1)}\u00a0%`;
    expect(await text(page, '[data-figure=top-1]')).toBe(`${((top1 as number) * 100).toFixed(1)}%`);
    const five = page.locator('[data-figure=top-5]');
    expect(await five.allInnerTexts()).toEqual(classes.length > 5 ? [percent(top5)] : []);
    expect(await text(page, '[data-figure="mean per class"]')).toBe(percent(meanPerClass));
    expect(await text(page, '[data-figure=cost]')).toBe(cost?.toFixed(4));
    expect(await text(page, '[data-figure="calibration error"]')).toBe(percent(calibration.error));
    if (await page.locator('#all').isVisible()) await page.locator('#all').click();
    const rows: string[][] = await page.evaluate(
      "[...document.querySelectorAll('#table tbody tr')].map((row) => [...row.cells].slice(0, 5).map((cell) => cell.textContent))",
    );
    const expected = classes.map(({ name, correct, support, recall, precision, f1 }) => [
      shortened(name),
      `${correct}/${support}`,
      ...[recall, precision, f1].map((share) => (share === null ? '–' : percent(share))),
    ]);
    expect(rows.toSorted()).toEqual(expected.toSorted());
    await page.close();
  });

  it.each(SIZES.flatMap((width) => (['light', 'dark'] as const).map((scheme) => [width, scheme] as const)))(
    'fits into %i px, %s, whatever the names are',
    async (width, colorScheme) => {
      const page = await open('hostile', { viewport: { width, height: 800 }, colorScheme });
      await page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true");
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(width);
      expect(await page.evaluate(FAINT_TEXT)).toEqual([]);
      await page.close();
    },
  );

  it('takes names for text', async () => {
    const page = await open('hostile');
    expect(await page.title()).toMatch(/^pictures: /);
    expect(await page.locator('#table th bdi').allTextContents()).toEqual(
      expect.arrayContaining(HOSTILE.map(shortened)),
    );
    expect(await page.evaluate('[...document.images].map(({ naturalWidth }) => naturalWidth)')).toEqual(
      Array(20).fill(240),
    );
    await page.locator('#matrix').focus();
    await page.keyboard.press('Home');
    expect(await page.locator('#cell bdi').first().textContent()).toBe(HOSTILE[0]);
    expect(await page.locator('#use code').first().textContent()).toBe("npx ortune serve --model 'o'\\''models'");
    await page.close();
  });

  it.each([
    ['two', 1280],
    ['hostile', 360],
    ['many', 768],
  ])('tells the count under the pointer and by keys: %s at %i px', async (kind, width) => {
    const page = await open(kind, { viewport: { width, height: 800 } });
    const { confusion, classes, mostConfused } = metricsOf(kind);
    const [pair] = mostConfused;
    const row = classes.findIndex(({ name }) => name === pair?.label);
    const column = classes.findIndex(({ name }) => name === pair?.predicted);
    const said = (label: number, predicted: number) => {
      const { name, support } = classes[label] as { name: string; support: number };
      const count = confusion[label]?.[predicted] as number;
      const what =
        label === predicted ? 'were found' : `were taken for ${shortened(classes[predicted]?.name as string)}`;
      return `${count} of ${support} pictures of ${shortened(name)} ${what} (${((100 * count) / support).toFixed(1)}\u00a0%).`;
    };
    const matrix = page.locator('#matrix');
    await matrix.scrollIntoViewIfNeeded();
    const box = (await matrix.boundingBox()) as { width: number };
    const { margin, top, side } = squares(classes.length, box.width);
    const position = { x: margin + (column + 0.5) * side, y: top + (row + 0.5) * side };
    await matrix.hover({ position });
    expect(await page.locator('#cell').textContent()).toBe(said(row, column));
    await matrix.focus();
    await page.keyboard.press('ArrowLeft');
    const left = Math.max(0, column - 1);
    expect(await page.locator('#cell').textContent()).toBe(said(row, left));
    await page.keyboard.press('End');
    await page.keyboard.press('ArrowDown');
    const below = Math.min(classes.length - 1, row + 1);
    expect(await page.locator('#cell').textContent()).toBe(said(below, classes.length - 1));
    await page.close();
  });

  it('tells it to a finger', async () => {
    const page = await open('two', { viewport: { width: 360, height: 800 }, hasTouch: true, isMobile: true });
    await page.locator('#matrix').tap();
    expect(await page.locator('#cell').textContent()).toMatch(/^\d+ of 10 pictures of /);
    await page.close();
  });

  it('sorts the classes, and finds them by name', async () => {
    const page = await open('many');
    const { classes } = metricsOf('many');
    const names = () => page.locator('#table tbody tr:visible th').allTextContents();
    expect(await names()).toHaveLength(12);
    await page.locator('#all').click();
    const column = async (place: number) =>
      (await page.locator(`#table tbody tr:visible td:nth-child(${place})`).allTextContents()).map(Number.parseFloat);
    for (const [title, place] of [
      ['Precision', 4],
      ['F1', 5],
    ] as const) {
      const heading = page.locator('#table thead th', { hasText: title });
      for (const [order, sign] of [
        ['descending', -1],
        ['ascending', 1],
      ] as const) {
        await heading.locator('button').click();
        expect(await heading.getAttribute('aria-sort')).toBe(order);
        const values = await column(place);
        expect(values).toHaveLength(102);
        expect(values).toEqual(values.toSorted((a, b) => sign * (a - b)));
      }
    }
    await page.locator('#table thead button', { hasText: 'Class' }).click();
    expect(await names()).toEqual(classes.map(({ name }) => name));
    await page.locator('#filter').fill('FLOWER 10');
    expect(await names()).toEqual(['flower 10', 'flower 100', 'flower 101', 'flower 102']);
    expect(await text(page, '.tools output')).toBe('4 of 102 classes');
    await page.close();
  });

  it('reads a curve under the pointer and by keys, as run.json has it', async () => {
    const page = await open('two');
    const run = JSON.parse(await readFile(join(folder, 'two', 'result', 'run.json'), 'utf8'));
    const plot = page.locator('.chart .plot').first();
    const output = page.locator('.chart output').first();
    await plot.hover({ position: { x: 1, y: 50 } });
    const { trainCost, testCost } = run.history[0];
    expect(await output.textContent()).toBe(
      `pass 1: train ${Number(trainCost.toPrecision(3))}, test ${Number(testCost.toPrecision(3))}`,
    );
    await plot.focus();
    await page.keyboard.press('End');
    expect(await output.textContent()).toMatch(/^pass 6: /);
    await page.close();
  });

  it('copies a command', async () => {
    const page = await open('two');
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    const button = page.locator('button.copy').first();
    await button.click();
    await expect.poll(() => button.innerText(), { timeout: 60_000 }).toBe('Copied');
    expect(await page.evaluate('navigator.clipboard.readText()')).toBe("npx ortune serve --model 'o'\\''models'");
    await page.close();
  });

  it('tells what the data check found, by name within the data set', async () => {
    const page = await open('two');
    await page.locator('#data summary').first().click();
    expect(await page.locator('#data li').first().textContent()).toBe('cats/<b>.jpg: it is empty');
    await page.close();
  });

  it('has its classes and mistakes without scripts, too', async () => {
    const page = await open('many', { javaScriptEnabled: false });
    expect(await page.locator('#table tbody tr:visible').count()).toBe(102);
    expect(await page.locator('.pairs li').count()).toBeGreaterThan(0);
    expect(await page.locator('button:visible').count()).toBe(0);
    await page.close();
  });
});

/** The page leaves a margin for names where squares stay large enough for them. */
function squares(classes: number, width: number): { margin: number; top: number; side: number } {
  const margin = Math.min(160, width * 0.27);
  const side = Math.min(72, (width - margin - 1) / classes);
  return side >= 13 ? { margin, top: Math.min(margin, 110), side } : { margin: 0, top: 0, side: (width - 1) / classes };
}

/** Texts with less contrast than WCAG 2.2's level AA asks for, 4.5 to 1, whatever their size. */
const FAINT_TEXT = `(() => {
  const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => {
    const linear = (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
    const [red, green, blue] = channels(colour).map((value) => linear(value / 255));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (channels(colour)[3] !== 0) return colour;
    }
  };
  const texts = [...document.querySelectorAll('main *')].filter((element) =>
    [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim() !== ''));
  return texts.flatMap((element) => {
    const style = getComputedStyle(element);
    const [text, behind] = [light(element.closest('svg') ? style.fill : style.color), light(ground(element))];
    const contrast = (Math.max(text, behind) + 0.05) / (Math.min(text, behind) + 0.05);
    return contrast >= 4.5 ? [] : [element.outerHTML.slice(0, 100) + ' ' + contrast.toFixed(2)];
  });
})()`;

const findings = (root: string): DataReport => ({
  root,
  kind: 'folder',
  split: 'ratio:0.8',
  parts: { train: 8, valid: 0, test: 2 },
  classes: [{ name: 'cat', train: 8, valid: 0, test: 2 }],
  formats: { jpeg: 10 },
  width: { min: 10, median: 20, max: 30 },
  height: { min: 10, median: 20, max: 30 },
  shortSides: [],
  problems: [
    {
      code: 'IMAGE_UNREADABLE',
      severity: 'error',
      path: join(root, 'cats/<b>.jpg'),
      related: [],
      message: 'it is empty',
    },
    { code: 'CLASS_FEW', severity: 'warning', path: root, related: [], message: 'cat has 8' },
  ],
  seconds: 1,
});
