import type { MappingReport } from './mapping.ts';

/**
 * The report as lines of text: the counts, and with `verbose` every name.
 *
 * @example `265 loaded, 0 missing, 0 unexpected, 0 wrong shape (torchvision names); left out: head fc_0.w_0, fc_0.b_0`
 */
export function formatReport(report: MappingReport, { verbose = false }: { readonly verbose?: boolean } = {}): string {
  const { dialect, loaded, missing, unexpected, wrongShape, leftOut } = report;
  const counts =
    `${loaded.length} loaded, ${missing.length} missing, ${unexpected.length} unexpected, ${wrongShape.length} wrong shape ` +
    `(${dialect} names)`;
  const summary = leftOut.length > 0 ? `${counts}; left out: head ${leftOut.join(', ')}` : counts;
  if (!verbose) return summary;
  const shapes = wrongShape.map(
    ({ name, expected, received, type }) =>
      `${name}: expected [${expected.join(', ')}], received ${type} [${received.join(', ')}]`,
  );
  return [
    summary,
    ...list('missing', missing),
    ...list('wrong shape', shapes),
    ...list('unexpected', unexpected),
    ...list('loaded', loaded),
  ].join('\n');
}

function list(title: string, items: readonly string[]): string[] {
  return items.map((item) => `  ${title}: ${item}`);
}
