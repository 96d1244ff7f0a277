/**
 * Edit distance (Levenshtein 1966): the least number of letters to insert, remove or change.
 */
function distance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (const [index, letter] of [...from].entries()) {
    const next = [index + 1];
    for (let at = 0; at < to.length; at++) {
      next.push(Math.min(next[at]! + 1, row[at + 1]! + 1, row[at]! + (letter === to[at] ? 0 : 1)));
    }
    row = next;
  }
  return row.at(-1)!;
}

/** As a slip: `label-smoothing` and `label_smoothing` are `labelSmoothing`. */
const plain = (name: string) => name.toLowerCase().replace(/[-_ ]/g, '');

/** The name that was probably meant; none when none is near. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  // Nobody's slip is that long, and the distance takes time by the product of the lengths.
  if (name.length > 100) return undefined;
  const by = known.map((one) => ({ one, far: distance(plain(name), plain(one)) })).sort((a, b) => a.far - b.far);
  const [best] = by;
  return best && best.far <= Math.max(2, best.one.length / 3) ? best.one : undefined;
}
