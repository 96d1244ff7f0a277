/** Pictures that are in a data set more than once, as the same file or nearly the same picture. */
import { forEachNearPair } from './near-pairs.ts';
import { correlation, type Look } from './perceptual-hash.ts';
import { type DataProblem, PARTS, type Part, type ProblemCode } from './types.ts';

/**
 * Below lie different pictures. Among the 8189 of Flowers-102, 34 pairs have like hashes: 32 correlate by 0.91 and more, of which
 * the six lowest show the same flower, two by 0.64 and less; recompressed, scaled or lightened copies by 0.98 and more.
 */
const LEAST_CORRELATION = 0.9;

export interface Candidate {
  readonly file: string;
  readonly part: Part;
  readonly label: number;
  readonly digest: string;
  readonly look: Look | undefined;
}

export interface DuplicateOptions {
  readonly classes: readonly string[];
  /** What messages call a file. */
  readonly nameOf: (file: string) => string;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** @throws the signal's reason when it is aborted */
export async function findDuplicates(
  pictures: readonly Candidate[],
  { classes, nameOf, onProgress, signal }: DuplicateOptions,
): Promise<DataProblem[]> {
  const problems: DataProblem[] = [];
  const add = (code: ProblemCode, { file }: Candidate, related: readonly Candidate[], message: string) =>
    problems.push({ code, severity: 'warning', path: file, related: related.map(({ file }) => file), message });
  const list = (others: readonly Candidate[], say: (other: Candidate) => string) =>
    others.slice(0, 3).map(say).join(', ') + (others.length > 3 ? ` and ${others.length - 3} more` : '');
  const withPart = ({ file, part }: Candidate) => `${nameOf(file)} (${part})`;
  const withClass = ({ file, label }: Candidate) => `${nameOf(file)} ("${classes[label]}")`;

  /** Test and validation pictures that have been found to be trained on. */
  const leaking = new Set<Candidate>();
  const findLeaks = (code: ProblemCode, from: readonly Candidate[], to: readonly Candidate[], how: string) => {
    for (const picture of from) {
      if (leaking.has(picture)) continue;
      const earlier = to.find(({ part }) => PARTS.indexOf(part) < PARTS.indexOf(picture.part));
      if (!earlier) continue;
      leaking.add(picture);
      add(code, picture, [earlier], `in ${picture.part}, ${how} ${withPart(earlier)}`);
    }
  };

  const copies = groups(pictures, ({ digest }) => digest);
  for (const group of copies) {
    const [first, ...rest] = group as [Candidate, ...Candidate[]];
    const elsewhere = rest.filter(({ label }) => label !== first.label);
    if (elsewhere.length > 0) {
      add(
        'LABELS_DUPLICATE',
        first,
        elsewhere,
        `in class "${classes[first.label]}", the same file as ${list(elsewhere, withClass)}`,
      );
    }
    findLeaks('LEAK_DUPLICATE', group, group, 'the same file as');
    for (const [same, ...others] of groups(group, ({ part, label }) => `${part} ${label}`)) {
      if (others.length > 0)
        add('DUPLICATE', same!, others, `the same file as ${list(others, ({ file }) => nameOf(file))}`);
    }
  }

  // Of copies the first stands for all.
  const nodes = copies.filter(([first]) => first!.look);
  const hashes = Uint32Array.from(nodes.flatMap(([first]) => first!.look!.hash));
  const clusters = new DisjointSets(nodes.length);
  const relabelled = new Set<number>();
  await forEachNearPair(
    hashes,
    (a, b) => {
      const [first, second] = [nodes[a]![0]!, nodes[b]![0]!];
      const alike = first.part === second.part && first.label === second.label;
      // Nothing new would be learnt of long runs of like pictures, as of a film.
      if (alike ? clusters.find(a) === clusters.find(b) : leaking.has(second) && relabelled.has(b)) return;
      if (correlation(first.look!, second.look!) < LEAST_CORRELATION) return;
      findLeaks('LEAK_NEAR_DUPLICATE', nodes[a]!, nodes[b]!, 'nearly the same picture as');
      findLeaks('LEAK_NEAR_DUPLICATE', nodes[b]!, nodes[a]!, 'nearly the same picture as');
      if (first.label !== second.label && !relabelled.has(b)) {
        relabelled.add(b);
        add(
          'LABELS_NEAR_DUPLICATE',
          second,
          [first],
          `in class "${classes[second.label]}", nearly the same picture as ${withClass(first)}`,
        );
      }
      if (alike) clusters.join(a, b);
    },
    { onProgress, signal },
  );
  for (const [first, ...others] of groups([...nodes.keys()], (node) => clusters.find(node))) {
    if (others.length === 0) continue;
    const related = others.map((node) => nodes[node]![0]!);
    add(
      'NEAR_DUPLICATE',
      nodes[first!]![0]!,
      related,
      `nearly the same picture as ${list(related, ({ file }) => nameOf(file))}`,
    );
  }
  return problems;
}

/** In the order of each one's first. */
function groups<T>(items: readonly T[], keyOf: (item: T) => unknown): T[][] {
  const found = new Map<unknown, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = found.get(key);
    if (group) group.push(item);
    else found.set(key, [item]);
  }
  return [...found.values()];
}

/** Union and find, with paths halved on the way (Tarjan and van Leeuwen, 1984). */
class DisjointSets {
  readonly #parent: Uint32Array;

  constructor(length: number) {
    this.#parent = Uint32Array.from({ length }, (_, index) => index);
  }

  find(index: number): number {
    const parent = this.#parent;
    let at = index;
    while (parent[at] !== at) {
      parent[at] = parent[parent[at]!]!;
      at = parent[at]!;
    }
    return at;
  }

  join(a: number, b: number): void {
    this.#parent[this.find(b)] = this.find(a);
  }
}
