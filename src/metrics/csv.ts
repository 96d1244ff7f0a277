/** A pass's figures by column; what has no value is left empty. */
export type HistoryRow = Readonly<Record<string, string | number | null | undefined>>;

/**
 * `history.csv`: a row for each pass, in RFC 4180's form. The columns are those of all rows, in the order of their first
 * appearance; numbers are written so that reading them gives the same number again.
 */
export function historyCsv(rows: readonly HistoryRow[]): string {
  if (rows.length === 0) return '';
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const lines = [columns, ...rows.map((row) => columns.map((column) => row[column] ?? ''))];
  return lines.map((cells) => `${cells.map((cell) => quote(String(cell))).join(',')}\r\n`).join('');
}

/** A cell with a comma, a quote or a line's end in it goes between quotes. */
const quote = (cell: string) => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);
