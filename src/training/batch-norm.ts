import type { BatchNormMode, Model } from '../../onnx/index.ts';
import { OrtuneError } from '../errors.ts';
import { globToRegExp } from '../glob.ts';

export const BATCH_NORM_MODES = ['live', 'affine', 'frozen'] as const satisfies readonly BatchNormMode[];

/** One mode for every BatchNorm, or modes by pattern: `{ 'bn5*': 'live', '*': 'frozen' }`, the first that fits counting. */
export type BatchNormChoice = BatchNormMode | Readonly<Record<string, BatchNormMode>>;

/**
 * The mode of each BatchNorm, by its node's name.
 *
 * @throws OrtuneError `BATCH_NORM` naming a pattern that fits no BatchNorm, or a BatchNorm that no pattern fits
 */
export function batchNormModes({ graph }: Model, choice: BatchNormChoice): ReadonlyMap<string, BatchNormMode> {
  const names = graph.nodes.filter(({ op }) => op === 'BatchNormalization').map(({ name }) => name);
  if (typeof choice === 'string') return new Map(names.map((name) => [name, choice]));
  const patterns = Object.entries(choice).map(([pattern, mode]) => ({ pattern, mode, fits: globToRegExp(pattern) }));
  for (const { pattern, fits } of patterns) {
    if (names.some((name) => fits.test(name))) continue;
    throw new OrtuneError(
      'BATCH_NORM',
      `--bn ${pattern}: expected a pattern of the network's BatchNorms, such as ${names[0]} or ${names.at(-1)}, but it fits none.`,
    );
  }
  return new Map(
    names.map((name) => {
      const found = patterns.find(({ fits }) => fits.test(name));
      if (found) return [name, found.mode];
      throw new OrtuneError(
        'BATCH_NORM',
        `--bn: no pattern fits ${name}; add '*=frozen' (or live, affine) for the rest.`,
      );
    }),
  );
}

/** Whether some BatchNorm works on the batch's own statistics. */
export function anyLive(modes: ReadonlyMap<string, BatchNormMode>): boolean {
  return [...modes.values()].includes('live');
}

/**
 * Reads the command's words: a mode, or `PATTERN=MODE` any number of times.
 *
 * @throws OrtuneError `BATCH_NORM`
 */
export function parseBatchNorm(words: readonly string[]): BatchNormChoice {
  const isMode = (word: string): word is BatchNormMode => BATCH_NORM_MODES.some((mode) => mode === word);
  const [only = ''] = words;
  if (words.length === 1 && isMode(only)) return only;
  const modes = words.map((word) => {
    const [, pattern = '', mode = ''] = /^(.+)=(.+)$/.exec(word) ?? [];
    if (isMode(mode)) return [pattern, mode] as const;
    const expected = `one of ${BATCH_NORM_MODES.join(', ')}, or patterns with one each, such as 'bn5*=live' '*=frozen'`;
    throw new OrtuneError('BATCH_NORM', `--bn: expected ${expected}; received ${word}.`);
  });
  return Object.fromEntries(modes);
}
