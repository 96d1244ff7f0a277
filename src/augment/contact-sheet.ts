/** Pictures in rows and columns, to look at. */
import sharp from 'sharp';

export interface ContactSheet {
  /** Above the columns. */
  readonly columns: readonly string[];
  /** Each with its label, and as many squares as there are columns: RGB, uint8 [imageSize, imageSize, 3]. */
  readonly rows: readonly { readonly label: string; readonly squares: readonly Uint8Array[] }[];
  /** Side of a square in pixels. */
  readonly imageSize: number;
}

const GAP = 6;
const MARGIN = 16;
const HEADER = 26;
const LABELS = 150;
/** Letters that fit beside a row. */
const LETTERS = 20;

/** @returns a PNG file; texts need some font on the system, else there are none */
export async function drawContactSheet({ columns, rows, imageSize }: ContactSheet): Promise<Uint8Array> {
  const left = (column: number) => MARGIN + LABELS + column * (imageSize + GAP);
  const top = (row: number) => MARGIN + HEADER + row * (imageSize + GAP);
  const width = left(columns.length) - GAP + MARGIN;
  const height = top(rows.length) - GAP + MARGIN;
  const squares = rows.flatMap((row, y) =>
    row.squares.map((square, x) => ({
      input: Buffer.from(square.buffer, square.byteOffset, square.byteLength),
      raw: { width: imageSize, height: imageSize, channels: 3 as const },
      left: left(x),
      top: top(y),
    })),
  );
  const texts = [
    ...columns.map((name, x) => text(name, left(x) + imageSize / 2, MARGIN + HEADER - 10, 'middle')),
    ...rows.flatMap(({ label }, y) =>
      lines(label).map((line, place, all) =>
        text(line, MARGIN + LABELS - 12, top(y) + imageSize / 2 + 5 + 18 * (place - (all.length - 1) / 2), 'end'),
      ),
    ),
  ];
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="sans-serif" font-size="14" fill="#333">${texts.join('')}</svg>`;
  return sharp({ create: { width, height, channels: 3, background: 'white' } })
    .composite([...squares, { input: Buffer.from(svg) }])
    .png()
    .toBuffer();
}

function text(content: string, x: number, y: number, anchor: 'middle' | 'end'): string {
  const escaped = content.replace(/[&<>]/g, (letter) => `&#${letter.charCodeAt(0)};`);
  return `<text x="${x}" y="${y}" text-anchor="${anchor}">${escaped}</text>`;
}

/** Broken between words, at most three lines. */
function lines(label: string): string[] {
  const found: string[] = [];
  for (const word of label.split(' ')) {
    const last = found.at(-1);
    if (last !== undefined && last.length + word.length < LETTERS) found[found.length - 1] = `${last} ${word}`;
    else found.push(word.length > LETTERS ? `${word.slice(0, LETTERS - 1)}…` : word);
  }
  return found.length > 3 ? [...found.slice(0, 2), `${found[2]}…`] : found;
}
