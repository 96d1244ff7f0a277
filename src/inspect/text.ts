/** A whole number with its thousands apart. */
export const count = (value: number) => value.toLocaleString('en-US');

export const counted = (value: number, what: string) => `${count(value)} ${what}${value === 1 ? '' : 's'}`;

/** A number to four digits, so that columns of them line up. */
export function short(value: number): string {
  if (value === 0 || !Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  return size >= 1e-3 && size < 1e5 ? value.toPrecision(4) : value.toExponential(2);
}

/** Rows of cells as lines, each column as wide as its widest cell; rows may be of different length. */
export function alignColumns(rows: readonly (readonly string[])[], sides: readonly ('left' | 'right')[]): string[] {
  const widths = sides.map((_, column) => rows.reduce((widest, row) => Math.max(widest, row[column]?.length ?? 0), 0));
  return rows.map((row) =>
    row
      .map((cell, column) =>
        sides[column] === 'right' ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd(),
  );
}
