import { decodeCentre, type ImageTransform, readSample, type Sample } from '../data/index.ts';
import { createLimiter, DECODERS } from '../data/limiter.ts';

/** Centre crops of some pictures, in their order. */
export interface CentreBatch {
  /** RGB, uint8 [samples.length, side, side, 3]. */
  readonly images: Uint8Array;
  readonly samples: readonly Sample[];
}

export interface CentreOptions {
  /** The model's own sizes, whatever it was trained on. */
  readonly transform: ImageTransform;
  readonly batchSize: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Pictures as a served model sees them, a batch decoded while the one before is computed.
 *
 * @throws OrtuneError `IMAGE_UNREADABLE` naming the file; the signal's reason when it is aborted
 */
export async function* centrePictures(
  samples: readonly Sample[],
  { transform, batchSize, signal }: CentreOptions,
): AsyncGenerator<CentreBatch, void, undefined> {
  const limit = createLimiter(DECODERS);
  const read = async (start: number): Promise<CentreBatch> => {
    const part = samples.slice(start, start + batchSize);
    const stride = transform.imageSize ** 2 * 3;
    const images = new Uint8Array(part.length * stride);
    await Promise.all(
      part.map((sample, place) =>
        limit(async () => {
          signal?.throwIfAborted();
          // By its path where it has one: what cannot be decoded is then named.
          const source = sample.range ? await readSample(sample) : sample.file;
          images.set(await decodeCentre(source, transform), place * stride);
        }),
      ),
    );
    return { images, samples: part };
  };
  let next = read(0);
  for (let start = 0; start < samples.length; start += batchSize) {
    const batch = await next;
    signal?.throwIfAborted();
    next = read(start + batchSize);
    // Its error is thrown when its turn comes; until then nobody listens, which Node would take for a defect.
    next.catch(() => {});
    yield batch;
  }
}

/** The pictures of a batch, each mirrored left to right: RGB, uint8 [pictures, side, side, 3]. */
export function mirrored(images: Uint8Array, side: number): Uint8Array {
  const result = new Uint8Array(images.length);
  const row = side * 3;
  for (let start = 0; start < images.length; start += row) {
    for (let x = 0; x < row; x += 3) {
      const from = start + row - 3 - x;
      result[start + x] = images[from]!;
      result[start + x + 1] = images[from + 1]!;
      result[start + x + 2] = images[from + 2]!;
    }
  }
  return result;
}
