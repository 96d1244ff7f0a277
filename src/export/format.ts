import { basename } from 'node:path';
import type { ExportRecord } from './export-model.ts';

/** An export in a line or two: what it costs and what it gains. */
export function formatExport({ file, bytes, from, calibrated, test, precision }: ExportRecord): string {
  const sizes = `file ${megabytes(from.bytes)} -> ${megabytes(bytes)} MB`;
  const name = `${basename(file)} (${precision})`;
  if (!test) return `${name}: ${sizes}; not tested, as the data were not found: name them with --data`;
  const { before, after, sameClass, speedup } = test;
  const parts = [
    `top-1 ${percent(before.top1)} -> ${percent(after.top1)}`,
    `mean per class ${percent(before.meanPerClass)} -> ${percent(after.meanPerClass)}`,
    `same class on ${percent(sameClass)} of ${after.pictures} test pictures`,
    sizes,
    `speed x${speedup.toFixed(2)}`,
  ];
  const ranges = calibrated > 0 ? `\nRanges from ${calibrated} training pictures` : '';
  return `${name}: ${parts.join(', ')}${ranges}`;
}

const megabytes = (bytes: number) => (bytes / 1e6).toFixed(1);
const percent = (share: number | null) => (share === null ? 'unknown' : `${(100 * share).toFixed(1)} %`);
