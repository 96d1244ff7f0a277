/** A small data set for those with no pictures at hand: drawn flowers, a folder per kind. */
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { createLimiter, DECODERS } from '../../src/data/limiter.ts';
import { OrtuneError } from '../../src/errors.ts';
import { Random } from '../../src/random.ts';
import { background, light } from './scene.ts';
import { SPECIES, type Species } from './species.ts';
import { between, type Colour, count, css, numbers, pick, vary } from './svg.ts';

/** Share of the flowers in their kind's common colour: colour helps to tell them apart, and does not suffice. */
const COMMON = 0.8;

/** Names of the kinds, sorted. */
export const FLOWER_CLASSES: readonly string[] = SPECIES.map(({ name }) => name);

/**
 * Draws `perClass` pictures of each kind as JPEG: `folder/daisy/daisy-001.jpg` and so on. The same seed gives the same
 * pictures, and the first ones are the same whatever `perClass` is.
 *
 * @param folder an existing folder, empty
 * @param options.size side of the pictures in pixels
 * @throws OrtuneError `DEMO_WRITE` when a picture cannot be written
 */
export async function drawFlowers(
  folder: string,
  options: { perClass: number; size: number; seed: number; onProgress?(done: number, total: number): void },
): Promise<{ classes: string[]; count: number }> {
  const { perClass, size, seed, onProgress } = options;
  const total = SPECIES.length * perClass;
  const limit = createLimiter(DECODERS);
  let done = 0;
  try {
    await Promise.all(FLOWER_CLASSES.map((name) => mkdir(join(folder, name), { recursive: true })));
    await Promise.all(
      Array.from({ length: total }, (_, place) =>
        limit(async () => {
          // Kind after kind in turn, so that drawing cut short leaves all of them.
          const name = FLOWER_CLASSES[place % SPECIES.length]!;
          const index = Math.floor(place / SPECIES.length);
          const file = `${name}-${String(index + 1).padStart(3, '0')}.jpg`;
          const quality = 70 + new Random(seed, 'flower-jpeg', place % SPECIES.length, index).integer(26);
          const jpeg = await sharp(Buffer.from(drawFlower(name, seed, index, size)))
            .jpeg({ quality })
            .toBuffer();
          // Under a name that no reader takes until it is whole.
          await writeFile(join(folder, name, `.${file}`), jpeg);
          await rename(join(folder, name, `.${file}`), join(folder, name, file));
          onProgress?.(++done, total);
        }),
      ),
    );
  } catch (error) {
    if (!(error instanceof Error && 'syscall' in error)) throw error;
    throw new OrtuneError(
      'DEMO_WRITE',
      `The demo's pictures cannot be written to ${folder}: ${error.message}. They need an empty folder that you may write to, and 4 kB each.`,
      { cause: error },
    );
  }
  return { classes: [...FLOWER_CLASSES], count: total };
}

/**
 * One picture as SVG; depends on the arguments alone.
 *
 * @param species one of `FLOWER_CLASSES`
 * @param index number of the picture within its kind
 * @param size side in pixels
 */
export function drawFlower(species: string, seed: number, index: number, size: number): string {
  const label = FLOWER_CLASSES.indexOf(species);
  const kind = SPECIES[label];
  if (!kind) throw new RangeError(`Expected a species of ${FLOWER_CLASSES.join(', ')} but received "${species}"`);
  const random = new Random(seed, 'flower', label, index);
  const scenery = background(random);
  const colour = random.uniform() < COMMON ? kind.colours[0]! : pick(random, kind.colours.slice(1));
  const behind = random.uniform() < 0.45 ? count(random, 1, 2) : 0;
  const flowers = Array.from({ length: behind }, (_, number) => {
    // On one side or the other, where the foremost flower does not hide it.
    const x = pick(random, [between(random, 6, 24), between(random, 76, 94)]);
    return flower(random, kind, colour, {
      id: `f${number}-`,
      x,
      y: between(random, 10, 80),
      radius: between(random, 11, 18),
    });
  });
  const place = { x: between(random, 40, 60), y: between(random, 38, 58), radius: between(random, 29, 40) };
  flowers.push(flower(random, kind, colour, { id: 'f-', ...place }));
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100" width="${size}" height="${size}">${scenery}${flowers.join('')}${light(random)}</svg>`;
}

/** A flower in its place: an upright one leans a little, one seen from above is turned and tilted and gets a stem. */
function flower(
  random: Random,
  species: Species,
  colour: Colour,
  { id, x, y, radius }: { readonly id: string; readonly x: number; readonly y: number; readonly radius: number },
): string {
  const blossom = species.blossom(random, vary(random, colour), id);
  const at = numbers(x, y);
  if (species.upright) {
    const lean = between(random, -18, 18);
    // They are taller than wide: a little smaller, so that more than the blossom's middle is seen.
    const scale = numbers(radius * 0.85 * between(random, 0.88, 1.1), radius * 0.85);
    return `<g transform="translate(${at}) rotate(${numbers(lean)}) scale(${scale})">${blossom}</g>`;
  }
  const foot = numbers(x + between(random, -18, 18), 104);
  const stem = `<path d="M${at}Q${numbers(x, y + 25)} ${foot}" fill="none" stroke="${css([104, 40, between(random, 24, 38)])}" stroke-width="${numbers(radius * 0.1)}"/>`;
  const tilt = `rotate(${numbers(between(random, -30, 30))}) scale(1 ${numbers(between(random, 0.68, 1))})`;
  const turn = numbers(between(random, 0, 360));
  return `${stem}<g transform="translate(${at}) ${tilt} rotate(${turn}) scale(${numbers(radius)})">${blossom}</g>`;
}
