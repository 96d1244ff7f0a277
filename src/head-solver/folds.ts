import { Random } from '../random.ts';

/**
 * Deals rows out to `folds` parts so that each class is spread over them as evenly as it goes, drawn by the seed. Rows of
 * one group, such as a picture and its mirror image, go together.
 *
 * @param groups number of each row's group, whose rows have one label; each row is its own without
 * @returns the part of each row
 */
export function stratifiedFolds(labels: Int32Array, folds: number, seed: number, groups?: Int32Array): Int32Array {
  const byClass = new Map<number, number[]>();
  const seen = new Set<number>();
  for (const [row, label] of labels.entries()) {
    const group = groups?.[row] ?? row;
    if (seen.has(group)) continue;
    seen.add(group);
    const list = byClass.get(label);
    if (list) list.push(group);
    else byClass.set(label, [group]);
  }
  const foldOf = new Map<number, number>();
  let next = 0;
  // One deal for all classes: the parts of many small classes come out equally large.
  for (const [label, list] of [...byClass].sort(([a], [b]) => a - b)) {
    for (const index of new Random(seed, 'folds', label).permutation(list.length)) {
      foldOf.set(list[index]!, next++ % folds);
    }
  }
  return labels.map((_, row) => foldOf.get(groups?.[row] ?? row)!);
}
