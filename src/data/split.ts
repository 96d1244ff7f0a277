/** Which pictures train, validate and test. */
import { OrtuneError } from '../errors.ts';
import { Random } from '../random.ts';
import { byCodeUnits, type Entry, type Listing, type Partition, some } from './listing.ts';

const DEFAULT_RATIO = 'ratio:0.8';

export interface ChosenSplit {
  readonly name: string;
  readonly partition: Partition;
  readonly warnings: readonly string[];
}

/**
 * The split asked for; without a wish the data's own, and `ratio:0.8` where it has none. `ratio:` and `fold:` are drawn by
 * the seed, class by class.
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
  const seed = options.seed ?? 0;
  const where = options.where;
  const shares = /^ratio:(.+)$/
    .exec(name)?.[1]
    ?.split('/')
    .map((share) => (NUMBER.test(share) ? Number(share) : 0));
  if (shares && isShares(shares)) return { name: `ratio:${shares.join('/')}`, ...ratioSplit(listing, shares, seed) };
  const [fold, folds] = (/^fold:(\d+)\/(\d+)$/.exec(name) ?? []).slice(1).map(Number);
  if (fold !== undefined && folds !== undefined && fold >= 1 && fold <= folds && folds >= 2) {
    return { name: `fold:${fold}/${folds}`, ...foldSplit(listing, { fold, folds, seed, where }) };
  }
  const known = [
    ...own,
    'ratio:R with R between 0 and 1, e.g. ratio:0.8',
    'ratio:TRAIN/VALID/TEST of sum 1, e.g. ratio:0.7/0.15/0.15',
    'fold:I/K with I from 1 to K, e.g. fold:1/5',
  ];
  throw new OrtuneError('DATASET_SPLIT', `Unknown split "${name}" for ${where}. It has: ${known.join(', ')}.`);
}

const NUMBER = /^(\d+\.?\d*|\.\d+)$/;

function isShares(shares: readonly number[]): boolean {
  if (!shares.every((share) => share > 0 && share < 1)) return false;
  const sum = shares.reduce((total, share) => total + share, 0);
  return shares.length === 1 || (shares.length === 3 && Math.abs(sum - 1) < 1e-6);
}

/** Sorted by path first, so that the same pictures are drawn whatever order the file system or a list has them in. */
function byClass({ classes, entries }: Listing): { sorted: Entry[]; ofClass: Entry[][] } {
  const sorted = [...entries].sort((a, b) => byCodeUnits(a.file, b.file));
  const ofClass: Entry[][] = classes.map(() => []);
  for (const entry of sorted) ofClass[entry.label]!.push(entry);
  return { sorted, ofClass };
}

/**
 * A share of each class trains and the rest tests, or validates and tests. A class of two pictures or more always has
 * one that trains and one that tests; only one of three or more is sure to validate.
 *
 * @param shares of those that train, or of those that train, validate and test
 */
function ratioSplit(
  listing: Listing,
  [trainShare, validShare]: readonly number[],
  seed: number,
): Omit<ChosenSplit, 'name'> {
  const { sorted, ofClass } = byClass(listing);
  const validating = new Set<Entry>();
  const testing = new Set<Entry>();
  for (const [label, entries] of ofClass.entries()) {
    const count = entries.length;
    if (count < 2) continue;
    // Of three or more a picture is kept back for each part.
    const others = validShare !== undefined && count > 2 ? 2 : 1;
    const train = Math.min(Math.max(Math.round(count * trainShare!), 1), count - others);
    const valid =
      others === 1
        ? 0
        : Math.min(Math.max(Math.round(count * (trainShare! + validShare!)) - train, 1), count - train - 1);
    for (const [place, index] of new Random(seed, 'split', label).permutation(count).entries()) {
      if (place >= train) (place < train + valid ? validating : testing).add(entries[index]!);
    }
  }
  const single = listing.classes.filter((_, label) => ofClass[label]!.length === 1);
  const warnings = single.map((name) => `Class "${name}" has one picture alone: it trains, and is never tested.`);
  return {
    partition: {
      train: sorted.filter((entry) => !testing.has(entry) && !validating.has(entry)),
      valid: sorted.filter((entry) => validating.has(entry)),
      test: sorted.filter((entry) => testing.has(entry)),
    },
    warnings,
  };
}

/**
 * Cross-validation: every picture tests in one of the folds and trains in the others. The pictures of a class are dealt
 * out in turn, each class going on where the one before stopped, so a class's and the whole's shares of the folds differ
 * by one picture at most.
 *
 * @throws OrtuneError `DATASET_SPLIT` when a class has one picture, which some fold could not train on
 */
function foldSplit(
  listing: Listing,
  { fold, folds, seed, where }: { fold: number; folds: number; seed: number; where: string },
): Omit<ChosenSplit, 'name'> {
  const { sorted, ofClass } = byClass(listing);
  const named = (labels: (entries: Entry[]) => boolean) =>
    listing.classes.filter((_, label) => labels(ofClass[label]!)).map((name) => `"${name}"`);
  const single = named(({ length }) => length === 1);
  if (single.length > 0 || sorted.length < folds) {
    throw new OrtuneError(
      'DATASET_SPLIT',
      `${where}: ${folds} folds need ${folds} pictures and two of each class, ${single.length > 0 ? `but ${some(single)} has one alone. Add pictures, or take ratio:0.8` : `found ${sorted.length}`}.`,
    );
  }
  const testing = new Set<Entry>();
  let dealt = 0;
  for (const [label, entries] of ofClass.entries()) {
    for (const index of new Random(seed, 'fold', label).permutation(entries.length)) {
      if (dealt++ % folds === fold - 1) testing.add(entries[index]!);
    }
  }
  const few = named(({ length }) => length > 0 && length < folds);
  const warnings =
    few.length === 0
      ? []
      : [`${few.length} classes have fewer than ${folds} pictures and do not test in every fold: ${some(few)}.`];
  return {
    partition: {
      train: sorted.filter((entry) => !testing.has(entry)),
      valid: [],
      test: sorted.filter((entry) => testing.has(entry)),
    },
    warnings,
  };
}
