import { type ImageTransform, imageTransform } from '../data/index.ts';
import { OrtuneError } from '../errors.ts';

/** Pixels, or a share of the side of the network's input, such as `'125%'`. */
export type Side = number | `${number}%`;

export interface TestSizes {
  /** Side of the square that is tested; that of the network by default. A share is rounded to a multiple of 32. */
  readonly testSize?: Side;
  /** Length of the short side that this is cut from; by default the usual ratio of 256 to 224. */
  readonly testResize?: Side;
}

/** Networks halve a map five times. */
const STEP = 32;
/** A batch of larger ones fills the memory. */
const LARGEST_SIDE = 1024;

/** A side as it is typed, valid or not. */
export const sideOf = (text: string): Side => (/^\d+$/.test(text) ? Number(text) : (text as Side));

/** @throws OrtuneError `OPTION` */
export function checkTestSizes({ testSize, testResize }: TestSizes): void {
  for (const [name, side, step] of [
    ['test-size', testSize, STEP],
    ['test-resize', testResize, 1],
  ] as const) {
    if (side === undefined) continue;
    const most = step === 1 ? 4 * LARGEST_SIDE : LARGEST_SIDE;
    const valid =
      typeof side === 'number'
        ? side >= STEP && side <= most && Number.isInteger(side / step)
        : /^[1-9]\d{0,2}%$/.test(side);
    if (valid) continue;
    const pixels = step === 1 ? 'a whole number of pixels' : `a multiple of ${step}`;
    throw new OrtuneError(
      'OPTION',
      `${name}: expected ${pixels} from ${STEP} to ${most}, or a share of the network's size such as 125%, received ${side}`,
    );
  }
}

/** The sizes that a stage tests at. @throws OrtuneError `OPTION` when the square does not fit in the picture */
export function testTransformOf(imageSize: number, { testSize, testResize }: TestSizes): ImageTransform {
  const pixels = (side: Side, step: number) =>
    typeof side === 'number'
      ? side
      : Math.max(STEP, Math.round((imageSize * Number.parseInt(side, 10)) / 100 / step) * step);
  const usual = imageTransform(testSize === undefined ? imageSize : pixels(testSize, STEP));
  if (testResize === undefined) return usual;
  // Of the same share, the whole short side: the square's rounding holds for both.
  const resizeSize = testResize === testSize ? usual.imageSize : pixels(testResize, 1);
  if (resizeSize < usual.imageSize) {
    throw new OrtuneError(
      'OPTION',
      `test-resize: expected a short side that the test's square of ${usual.imageSize} fits in, received ${testResize}`,
    );
  }
  return { ...usual, resizeSize };
}
