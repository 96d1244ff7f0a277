export interface Point {
  readonly x: number;
  readonly y: number;
}

/**
 * As many points of a curve as a screen shows: of each of `columns` equal parts of the way the lowest and the highest, in
 * their order, so that no peak is lost.
 *
 * @param points by rising `x`
 */
export function thin(points: readonly Point[], columns: number): Point[] {
  if (points.length <= 2 * columns) return [...points];
  const [from, to] = [points[0]!.x, points.at(-1)!.x];
  const columnOf = ({ x }: Point) => Math.min(columns - 1, Math.floor(((x - from) / (to - from)) * columns));
  const kept: Point[] = [];
  let start = 0;
  while (start < points.length) {
    let [low, high, end] = [start, start, start];
    for (; end < points.length && columnOf(points[end]!) === columnOf(points[start]!); end++) {
      if (points[end]!.y < points[low]!.y) low = end;
      if (points[end]!.y > points[high]!.y) high = end;
    }
    for (const place of new Set([Math.min(low, high), Math.max(low, high)])) kept.push(points[place]!);
    start = end;
  }
  return kept;
}
