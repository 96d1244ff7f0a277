import { dirname, join, resolve } from 'node:path';
import type { DataReport } from '../check-data/index.ts';
import type { Dataset } from '../data/index.ts';
import { checkOutputFile } from '../training/output-folder.ts';
import { writeFiles } from '../write-files.ts';
import { page } from './page.ts';
import { readResult } from './read-result.ts';
import { thumbnails } from './thumbnails.ts';

/** What the report is called within a result's folder. */
export const REPORT_FILE = 'report.html';

export interface ReportOptions {
  /** Where the pictures furthest off are; by default looked for in the folder that `metrics.json` names. */
  readonly dataset?: Dataset | undefined;
  /** What the data check found. */
  readonly checkFindings?: DataReport | undefined;
  /** File to write; `report.html` in the result's folder by default. */
  readonly out?: string | undefined;
}

/**
 * Writes a result's report: one HTML file that needs nothing else to be read, and is the same for the same result and
 * pictures. Where the pictures are gone it is made without them, and says so.
 *
 * @param folder what `pretrain` or `finetune` wrote
 * @returns path of the report
 * @throws OrtuneError `RESULT_NOT_FOUND`, `RESULT_INVALID` when the folder is none of a result;
 *   `OUTPUT` when the file would lie among the pictures, or cannot be written
 */
export async function writeReport(folder: string, options: ReportOptions = {}): Promise<string> {
  const { dataset, checkFindings, out = join(folder, REPORT_FILE) } = options;
  const path = resolve(out);
  const result = await readResult(folder);
  const { run, metrics } = result;
  const where = dataset ?? { root: metrics?.data.root ?? run.dataset.root, kind: run.dataset.kind };
  await checkOutputFile('out', out, where.root);
  const text = await page(result, {
    thumbnails: metrics ? await thumbnails(metrics.topLosses, where) : [],
    checkFindings,
  });
  await writeFiles(dirname(path), { [path]: Buffer.from(text) });
  return path;
}
