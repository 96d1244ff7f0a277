import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { dashboard } from '../../src/dashboard/index.ts';
import { describeInBrowser, launchBrowser } from '../browser.ts';
import { afterPass, beginning, trainedPass } from './run.ts';

describeInBrowser('the dashboard in a browser', () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await launchBrowser();
  });
  afterAll(() => browser.close());

  async function look(url: string, options: Parameters<Browser['newPage']>[0] = {}) {
    const page = await browser.newPage(options);
    onTestFinished(() => page.close());
    const complaints: string[] = [];
    page.on('console', (message) => complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('request', (request) => !request.url().startsWith(url) && complaints.push(request.url()));
    await page.goto(url);
    return { page, complaints };
  }
  const figure = (page: Page, name: string) =>
    page.locator('.figures div', { has: page.getByText(name, { exact: true }) }).locator('dd');
  const text = async (page: Page, selector: string) => (await page.locator(selector).innerText()).trim();

  it('follows a run from its beginning to its end, over a reload, for several', async () => {
    const shown = await dashboard({ port: 0, interval: 20 });
    onTestFinished(() => shown.close());
    const { page, complaints } = await look(shown.url);
    await page.getByRole('heading', { name: 'Getting ready' }).waitFor();

    for (const event of [...beginning, ...trainedPass(0), ...afterPass(0, 0.8125), ...trainedPass(1)])
      shown.handle(event);
    await page.getByRole('heading', { name: 'Stage two: the whole network' }).waitFor();
    const { page: other, complaints: others } = await look(shown.url);
    await other.locator('.chart').first().waitFor();
    await page.reload();
    for (const viewer of [page, other]) {
      await viewer.locator('.chart').first().waitFor();
      expect(await text(viewer, '.key .value')).toMatch(/^81\.3\s*%$/);
      expect(await text(viewer, '.key .meaning')).toContain('loss 0.900');
      expect(await figure(viewer, 'pass').innerText()).toBe('2/4');
      expect(await figure(viewer, 'waits for pictures').innerText()).toMatch(/%$/);
      expect(await viewer.locator('.chart h3').allInnerTexts()).toEqual(['Loss', 'Accuracy', 'Learning rate']);
      expect(await viewer.locator('progress').getAttribute('value')).toBe('64');
      expect(await text(viewer, '.kicker')).toContain('CPU, 2\u00a0threads');
      // Whatever a name is, it is text.
      expect(await text(viewer, '.intro')).toContain('<b>flowers</b>: 2 classes, 64 pictures to train on, 16 to test');
      expect(await text(viewer, '#log')).toContain('Note: two pictures are <i>much alike</i>');
      expect(await viewer.title()).toBe('Pass 2/4 - ortune');
    }

    const plot = page.locator('.chart .plot').first();
    await plot.hover();
    const reading = page.locator('.chart output').first();
    await expect.poll(() => reading.innerText(), { timeout: 60_000 }).toBe('pass 1: train 1, test 0.9');
    for (const event of afterPass(1, 0.9375)) shown.handle(event);
    await page.getByText('93.8').first().waitFor();
    // What is pointed at stays so when the curves move on.
    await plot.hover({ position: { x: 5, y: 5 } });
    expect(await reading.innerText()).toMatch(/^pass 1:/);

    shown.handle({ type: 'saved', folder: 'models/infer_model', seconds: 3 });
    await shown.close();
    await page.getByText('Done.').waitFor();
    await page.getByText('The run has ended.').waitFor();
    expect(await text(page, '#log')).toContain('Saved: models/infer_model');
    expect([...complaints, ...others]).toEqual([]);
  });

  it.each([320, 768, 1440])('fits a screen of %i pixels', async (width) => {
    const shown = await dashboard({ port: 0, interval: 20 });
    onTestFinished(() => shown.close());
    for (const event of [...beginning, ...trainedPass(0), ...afterPass(0, 0.8)]) shown.handle(event);
    const { page, complaints } = await look(shown.url, { viewport: { width, height: 800 }, colorScheme: 'dark' });
    await page.locator('.chart').first().waitFor();
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width);
    expect(complaints).toEqual([]);
  });
});
