import { mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Dataset } from '../../src/data/index.ts';
import { writeReport } from '../../src/report-html/index.ts';
import { type FixtureOptions, writeResult } from './fixture.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ortune-report-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const result = () => join(folder, 'result');
const pictures = () => join(folder, 'pictures');
const CLASSES = ['cat', 'dog', 'hen'];

async function report(options: Partial<FixtureOptions> = {}): Promise<string> {
  await writeResult(folder, { classes: CLASSES, ...options });
  return readFile(await writeReport(result()), 'utf8');
}
const imagesOf = (text: string) =>
  [...text.matchAll(/<img src="(data:image\/webp;base64,[\w+/=]+)"/g)].map(([, uri]) => uri);

describe('a report', () => {
  it('is a file in the folder of the result, the same each time, and leaves nothing else', async () => {
    const first = await report({ steps: 20 });
    const before = await readdir(result());
    expect(await writeReport(result())).toBe(join(result(), 'report.html'));
    expect(await readFile(join(result(), 'report.html'), 'utf8')).toBe(first);
    expect(await readdir(result())).toEqual(before);
    expect(imagesOf(first)).toHaveLength(20);
  });

  it('of 102 classes, 20 pictures and 100 000 steps is below 2 MB', async () => {
    await report({ classes: Array.from({ length: 102 }, (_, label) => `class ${label}`), passes: 20, steps: 5000 });
    expect((await stat(join(result(), 'report.html'))).size).toBeLessThan(2e6);
  });

  it('asks nothing of anybody: no address but that of the server on this machine', async () => {
    const text = (await report()).replaceAll(/(base64,|sha256-)[\w+/=]+/g, '');
    expect(text.match(/\b(?:https?:)?\/\/[\w.]+/g)?.filter((address) => address !== 'http://127.0.0.1')).toEqual([]);
  });

  it('goes where it is asked to', async () => {
    await writeResult(folder, { classes: CLASSES });
    const out = join(folder, 'made', 'cats.html');
    expect(await writeReport(result(), { out })).toBe(out);
    expect(await readFile(out, 'utf8')).toMatch(/^<!doctype html>/);
  });

  it('never goes among the pictures', async () => {
    await writeResult(folder, { classes: CLASSES });
    const out = join(pictures(), 'report.html');
    await expect(writeReport(result(), { out })).rejects.toMatchObject({ code: 'OUTPUT' });
  });
});

describe('pictures', () => {
  it('that are gone are left out, and it says so', async () => {
    await writeResult(folder, { classes: CLASSES });
    await rename(pictures(), join(folder, 'moved'));
    const text = await readFile(await writeReport(result()), 'utf8');
    expect(text).toContain('The pictures were not where they had been');
    expect(imagesOf(text)).toEqual([]);
  });

  it('are found in a data set that is elsewhere, in an archive even', async () => {
    const { topLosses } = await writeResult(folder, { classes: CLASSES });
    const bytes = await readFile(join(pictures(), String(topLosses[0]?.picture)));
    await rm(pictures(), { recursive: true });
    const path = join(folder, 'pictures.pack');
    await writeFile(path, Buffer.concat([Buffer.alloc(10), bytes]));
    const root = join(folder, 'other');
    const range = { path, offset: 10, length: bytes.length };
    const test = [{ file: join(root, String(topLosses[0]?.picture)), label: 0, range }];
    const dataset: Dataset = {
      root,
      kind: 'folder',
      split: '',
      classes: CLASSES,
      train: [],
      valid: [],
      test,
      warnings: [],
    };
    const text = await readFile(await writeReport(result(), { dataset }), 'utf8');
    expect(imagesOf(text)).toHaveLength(1);
    expect(text).toContain('19\u00a0pictures were not where they had been');
  });

  it('beside the data set are not shown, whatever a result says', async () => {
    await writeResult(folder, { classes: CLASSES });
    const metrics = JSON.parse(await readFile(join(result(), 'metrics.json'), 'utf8'));
    const secret = join(folder, 'secret.jpg');
    await rename(join(pictures(), metrics.topLosses[0].picture), secret);
    metrics.topLosses[0].picture = '../secret.jpg';
    await writeFile(join(result(), 'metrics.json'), JSON.stringify(metrics));
    expect(imagesOf(await readFile(await writeReport(result()), 'utf8'))).toHaveLength(19);
  });
});

describe('what is in a folder', () => {
  it('may be a stage that was not tested', async () => {
    const text = await report({ tested: false, served: false, passes: 1 });
    expect(text).toContain('It was not tested');
    expect(text).toContain('npx ortune finetune');
    expect(text).not.toContain('id="confusion"');
  });

  it('may be what was saved in the middle of the first pass', async () => {
    await writeResult(folder, { classes: CLASSES, tested: false });
    const run = JSON.parse(await readFile(join(result(), 'run.json'), 'utf8'));
    await writeFile(join(result(), 'run.json'), JSON.stringify({ ...run, kept: 0, history: [] }));
    const text = await readFile(await writeReport(result()), 'utf8');
    expect(text).toContain('Saved in the middle of pass 1');
    expect(text).not.toMatch(/NaN|Infinity/);
  });

  it('must be a result', async () => {
    await expect(writeReport(folder)).rejects.toMatchObject({
      code: 'RESULT_NOT_FOUND',
      message: `${folder}: expected the folder of a result, with its run.json, found none. Name what pretrain or finetune wrote.`,
    });
  });

  it.each([
    ['run.json', '{', /run\.json cannot be read: .*JSON/],
    ['run.json', '{"command":"pretrain"}', /run\.json cannot be read: options: /],
    ['steps.csv', 'pass,batch,learningRate,cost,accuracy\r\n0,0,1e-3,1,x\r\n', /steps\.csv cannot be read: line 2: /],
    ['steps.csv', 'pass,batch\r\n0,0\r\n', /expected numbers for pass, batch, learningRate, cost, accuracy, found 0,0/],
  ])('is refused when %s is damaged: %s', async (name, contents, message) => {
    await writeResult(folder, { classes: CLASSES });
    await writeFile(join(result(), name), contents);
    await expect(writeReport(result())).rejects.toMatchObject({
      code: 'RESULT_INVALID',
      message: expect.stringMatching(message),
    });
    expect(await readdir(result())).not.toContain('report.html');
  });

  it('is refused when the confusion matrix does not fit the classes', async () => {
    await writeResult(folder, { classes: CLASSES });
    const metrics = JSON.parse(await readFile(join(result(), 'metrics.json'), 'utf8'));
    metrics.confusion.pop();
    await writeFile(join(result(), 'metrics.json'), JSON.stringify(metrics));
    await expect(writeReport(result())).rejects.toThrow('metrics.json cannot be read: confusion: expected 3 rows of 3');
  });
});
