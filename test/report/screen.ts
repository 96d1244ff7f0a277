const ESCAPE = '\u001b';
/** An escape sequence, a line's end, or plain text. */
const TOKEN = new RegExp(`${ESCAPE}\\[(\\?)?(\\d*)([A-Za-z])|\\r|\\n|[^${ESCAPE}\\r\\n]+`, 'gy');

/**
 * What a terminal shows after some output: as much of ECMA-48 as progress bars use, long lines cut off instead of
 * wrapped. An escape sequence that it does not know is an error.
 */
export class Screen {
  readonly #rows: string[] = [''];
  readonly #columns: number;
  #row = 0;
  #column = 0;

  constructor(columns: number) {
    this.#columns = columns;
  }

  /** The rows down to the last that is not empty, without blanks at their ends. */
  get rows(): string[] {
    return this.#rows.join('\n').replace(/ +$/gm, '').trimEnd().split('\n');
  }

  write(text: string): void {
    let place = 0;
    for (const match of text.matchAll(TOKEN)) {
      place = match.index + match[0].length;
      if (match[0] === '\n') this.#moveTo(this.#row + 1, 0);
      else if (match[0] === '\r') this.#moveTo(this.#row, 0);
      else if (match[3]) this.#control(match[3], match[1] ? Number.NaN : Number(match[2]));
      else this.#print(match[0]);
    }
    if (place !== text.length) throw new Error(`no known output: ${JSON.stringify(text.slice(place))}`);
  }

  /** @param count NaN for the private sequences, which set modes (cursor, line wrapping) and show nothing */
  #control(letter: string, count: number): void {
    const line = this.#rows[this.#row] as string;
    if (letter === 'h' || letter === 'l') return;
    if (letter === 'A') this.#moveTo(Math.max(0, this.#row - (count || 1)), this.#column);
    else if (letter === 'B') this.#moveTo(this.#row + (count || 1), this.#column);
    else if (letter === 'G') this.#moveTo(this.#row, (count || 1) - 1);
    else if (letter === 'K' && count === 0) this.#rows[this.#row] = line.slice(0, this.#column);
    else if (letter === 'K' && count === 2) this.#rows[this.#row] = '';
    else if (letter === 'J' && count === 0) {
      this.#rows[this.#row] = line.slice(0, this.#column);
      this.#rows.length = this.#row + 1;
    } else throw new Error(`no known control: ${count}${letter}`);
  }

  #moveTo(row: number, column: number): void {
    while (this.#rows.length <= row) this.#rows.push('');
    this.#row = row;
    this.#column = column;
  }

  #print(text: string): void {
    const line = (this.#rows[this.#row] as string).padEnd(this.#column);
    const shown = text.slice(0, this.#columns - this.#column);
    this.#rows[this.#row] = line.slice(0, this.#column) + shown + line.slice(this.#column + shown.length);
    this.#column += shown.length;
  }
}
