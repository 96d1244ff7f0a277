/** Which pictures train, validate and test. */
import { OrtuneError } from '../errors.ts';
import { Random } from '../random.ts';
import { byCodeUnits, type Entry, type Listing, type Partition } from './listing.ts';

const DEFAULT_RATIO = 'ratio:0.8';

export interface ChosenSplit {
  readonly name: string;
  readonly partition: Partition;
  readonly warnings: readonly string[];
}

/**
 * The split asked for; without a wish the data's own, and `ratio:0.8` where it has none.
 *
 * @throws OrtuneError `DATASET_SPLIT` for a name that this data set does not have
 */
export function chooseSplit(listing: Listing, options: { split?: string; seed?: number; where: string }): ChosenSplit {
  const own = [...listing.splits.keys()];
  const name = options.split ?? own[0] ?? DEFAULT_RATIO;
  const partition = listing.splits.get(name);
  if (partition) {
    if (partition.test.length > 0 || partition.valid.length === 0) return { name, partition, warnings: [] };
    const warning = `No picture is marked as test: the ${partition.valid.length} of the validation part are tested on.`;
    return { name, partition: { train: partition.train, valid: [], test: partition.valid }, warnings: [warning] };
  }
  const ratio = /^ratio:(\d*\.?\d+)$/.exec(name)?.[1];
  if (ratio === undefined || !(Number(ratio) > 0 && Number(ratio) < 1)) {
    throw new OrtuneError(
      'DATASET_SPLIT',
      `Unknown split "${name}" for ${options.where}. It has: ${[...own, 'ratio:R with R between 0 and 1, e.g. ratio:0.8'].join(', ')}.`,
    );
  }
  return { name: `ratio:${Number(ratio)}`, ...ratioSplit(listing, Number(ratio), options.seed ?? 0) };
}

/**
 * A share of each class trains, the rest tests. Paths are sorted first, so the same pictures are drawn whatever order
 * the file system or a list has them in. A class of two pictures or more always has one on each side.
 */
function ratioSplit(listing: Listing, ratio: number, seed: number): Omit<ChosenSplit, 'name'> {
  const classes: Entry[][] = listing.classes.map(() => []);
  const sorted = [...listing.entries].sort((a, b) => byCodeUnits(a.file, b.file));
  for (const entry of sorted) classes[entry.label]!.push(entry);
  const testing = new Set<Entry>();
  for (const [label, entries] of classes.entries()) {
    if (entries.length < 2) continue;
    const trainCount = Math.min(Math.max(Math.round(entries.length * ratio), 1), entries.length - 1);
    for (const index of new Random(seed, 'split', label).permutation(entries.length).subarray(trainCount)) {
      testing.add(entries[index]!);
    }
  }
  const single = listing.classes.filter((_, label) => classes[label]!.length === 1);
  const warnings = single.map((name) => `Class "${name}" has one picture alone: it trains, and is never tested.`);
  return {
    partition: {
      train: sorted.filter((entry) => !testing.has(entry)),
      valid: [],
      test: sorted.filter((entry) => testing.has(entry)),
    },
    warnings,
  };
}
