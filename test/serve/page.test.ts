import { writeFile } from 'node:fs/promises';
import type { Browser, Page } from 'playwright-core';
import sharp from 'sharp';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { Classifier } from '../../src/inference/index.ts';
import type { RunningServer } from '../../src/serve/index.ts';
import { describeInBrowser, launchBrowser } from '../browser.ts';
import { drawPicture, png, Workshop } from './workshop.ts';

describeInBrowser('the page', () => {
  let workshop: Workshop;
  let server: RunningServer;
  let browser: Browser;
  let page: Page;
  /** What went wrong on the page, and what it asked others for. */
  let complaints: string[];
  beforeAll(async () => {
    workshop = await Workshop.open();
    server = await workshop.serve({ maxBody: 100_000 });
    browser = await launchBrowser();
  });
  afterAll(async () => {
    await browser?.close();
    await workshop.close();
  });
  beforeEach(async () => {
    complaints = [];
    page = await browser.newPage({ viewport: { width: 1000, height: 800 } });
    page.on('console', (message) => {
      // The tests read the canvas; the page does not.
      if (!message.text().includes('willReadFrequently')) complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('request', (request) => {
      if (!request.url().startsWith(server.url) && !/^(blob|data):/.test(request.url())) complaints.push(request.url());
    });
    await page.goto(server.url);
  });
  afterEach(() => page.close());

  /** Drops a file onto the page, or pastes it. */
  const give = (how: 'drop' | 'paste', bytes: Buffer, name = 'a.png', type = 'image/png') =>
    page.evaluate(`{
      const bytes = Uint8Array.from(atob('${bytes.toString('base64')}'), (letter) => letter.charCodeAt(0));
      const transfer = new DataTransfer();
      transfer.items.add(new File([bytes], '${name}', { type: '${type}' }));
      const init = { bubbles: true, cancelable: true, dataTransfer: transfer, clipboardData: transfer };
      const main = document.querySelector('main');
      if ('${how}' === 'paste') main.dispatchEvent(new ClipboardEvent('paste', init));
      else for (const event of ['dragenter', 'dragover', 'drop']) main.dispatchEvent(new DragEvent(event, init));
    }`);
  /** Not `waitForFunction`: the page's own policy forbids it to evaluate strings. */
  const until = (condition: string) => expect.poll(() => page.evaluate(condition), { timeout: 20_000 }).toBe(true);
  /** Of each class: its name, its probability in words, and the width of its bar. */
  const classes = () =>
    page.evaluate<[string, string, string][]>(`[...document.querySelectorAll('.class')].map((row) => [
      row.querySelector('.name').textContent,
      row.querySelector('.soft').textContent,
      row.querySelector('.bar').style.width,
    ])`);
  /** The colour of the canvas at a share of its sides. */
  const colourAt = (x: number, y: number) =>
    page.evaluate<number[]>(`{
      const canvas = document.querySelector('#canvas');
      const place = [Math.floor(${x} * canvas.width), Math.floor(${y} * canvas.height)];
      [...canvas.getContext('2d').getImageData(...place, 1, 1).data];
    }`);

  it.each(['drop', 'paste'] as const)('takes a picture by %s and shows what the network says', async (how) => {
    const bytes = await png(120, 80);
    await give(how, bytes);
    await page.waitForSelector('#answer:not([hidden])');
    await using classifier = await Classifier.load(workshop.path('model.onnx'), { threads: 1 });
    const expected = await classifier.predict(bytes);
    // Names are text, whatever is in them.
    expect(await page.locator('#verdict').textContent()).toBe(expected[0]?.label);
    const shown = await classes();
    expect(shown.map(([label]) => label)).toEqual(expected.map(({ label }) => label));
    for (const [index, { probability }] of expected.entries()) {
      const words = probability < 0.001 ? '< 0.1 %' : `${(probability * 100).toFixed(1)} %`;
      expect(shown[index]?.[1]).toBe(words);
      expect(Number.parseFloat(shown[index]?.[2] as string)).toBeCloseTo(probability * 100, 2);
    }
    expect(await page.locator('#live').textContent()).toContain(`${expected[0]?.label}, ${shown[0]?.[1]}`);
    expect(complaints).toEqual([]);
  });

  it('takes a chosen file, and another after it', async () => {
    for (const width of [120, 60]) {
      await writeFile(workshop.path('b.png'), await png(width, 80));
      await page.setInputFiles('#file', workshop.path('b.png'));
      await until(`{
        const { width, height } = document.querySelector('#canvas');
        !document.querySelector('[aria-busy]') && Math.abs(width / height - ${width / 80}) < 0.02;
      }`);
    }
    expect(complaints).toEqual([]);
  });

  it('draws the map of the class that is picked, by keyboard too, over what was seen alone', async () => {
    const grey = await sharp({ create: { width: 120, height: 80, channels: 3, background: '#808080' } })
      .png()
      .toBuffer();
    await give('drop', grey);
    await page.waitForSelector('#looked:not([hidden])');
    // The server's map of one class is as we say; the model's own are a single cell.
    await page.route('**/predict*', async (route) => {
      const response = await route.fetch();
      const answer = await response.json();
      answer.pictures[0].predictions[0].map = { height: 2, width: 2, values: [9, 0, -1, 0] };
      answer.pictures[0].predictions[1].map = { height: 2, width: 2, values: [-1, 0, -1, 0] };
      answer.pictures[0].predictions[2].map = { height: 2, width: 2, values: [0, 0, 0, 5] };
      await route.fulfill({ response, json: answer });
    });
    const answered = page.waitForResponse(/predict/);
    await give('drop', grey);
    await answered;
    await until(`!document.querySelector('[aria-busy]')`);
    const seen = { left: 0.5 - 0.25, right: 0.5 + 0.25 };
    const bright = ([red = 0, green = 0, blue = 0]: number[]) => red + green + blue;
    const corners = async () => [bright(await colourAt(seen.left, 0.2)), bright(await colourAt(seen.right, 0.8))];
    let [first = 0, last = 0] = await corners();
    expect(first).toBeGreaterThan(last + 100);
    // Outside of the frame: the picture, dimmed.
    expect(await colourAt(0.02, 0.5)).toEqual([58, 58, 58, 255]);
    await page.locator('.class input').first().focus();
    await page.keyboard.press('ArrowUp');
    expect(await page.locator('#canvas').getAttribute('aria-label')).toContain('coloured by what speaks for');
    [first = 0, last = 0] = await corners();
    expect(last).toBeGreaterThan(first + 100);
    // Nothing speaks for the second: the picture as it is.
    await page.locator('.class').nth(1).click();
    expect(await colourAt(0.4, 0.4)).toEqual([128, 128, 128, 255]);
    await page.locator('.class').nth(0).click();
    await page.locator('#heat').uncheck();
    expect(await colourAt(0.4, 0.4)).toEqual([128, 128, 128, 255]);
    expect(complaints).toEqual([]);
  });

  it('says what is wrong, in the words of the server, and takes the next picture', async () => {
    await give('drop', Buffer.from('no picture at all'), 'a.txt', 'text/plain');
    await page.waitForSelector('#problem:not([hidden])');
    expect(await page.locator('#problem').textContent()).toMatch(/^picture 1: |picture 1 cannot be decoded/);
    await give('drop', Buffer.alloc(200_000), 'a.png');
    await until(`document.querySelector('#problem').textContent.includes('100000 bytes')`);
    await give('drop', await png());
    await page.waitForSelector('#answer:not([hidden])');
    expect(await page.locator('#problem').isHidden()).toBe(true);
    // The browser itself notes refused requests.
    expect(complaints.filter((text) => !/status of 4(13|22)/.test(text))).toEqual([]);
  });

  it('shows an answer about a picture that the browser cannot draw', async () => {
    await give('drop', await drawPicture(60, 40).tiff().toBuffer(), 'a.tiff', 'image/tiff');
    await page.waitForSelector('#answer:not([hidden])');
    expect(await page.locator('#problem').textContent()).toContain('cannot show');
    expect(await page.locator('.class').count()).toBe(3);
    expect(complaints).toEqual([]);
  });

  it('works with a model that gives no maps', async () => {
    const plain = await workshop.serve({ model: workshop.path('plain.onnx') });
    await page.goto(plain.url);
    complaints = [];
    await give('drop', await png());
    await page.waitForSelector('#answer:not([hidden])');
    expect(await page.locator('#looked').isHidden()).toBe(true);
    expect(await page.locator('.class input').count()).toBe(0);
    await plain.close();
    await give('drop', await png());
    await until(`document.querySelector('#problem').textContent === 'The server cannot be reached.'`);
  });

  it.each([360, 768, 1280])('fits %i px', async (width) => {
    await page.setViewportSize({ width, height: 800 });
    await give('drop', await png(300, 90));
    await page.waitForSelector('#answer:not([hidden])');
    const overflow = await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth');
    expect(overflow).toBe(0);
  });
});
