import { execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import { badImagesError, checkImages, withoutBadImages } from '../../src/data/check.ts';
import { openDataset } from '../../src/data/dataset.ts';
import { type Crop, centreRegion, decodeCentre, decodeCrop, imageTransform } from '../../src/data/image.ts';
import { shared } from '../shared.ts';
import { folderOf, painted } from './fixtures.ts';

/** Red tells the column, green the row, blue nothing. */
const gradient = (width: number, height: number) => painted(width, height, (x, y) => [x, y, 50]);
const pixel = (pixels: Uint8Array, size: number, x: number, y: number) => [
  ...pixels.subarray((y * size + x) * 3, (y * size + x) * 3 + 3),
];

describe('imageTransform', () => {
  test('the short side is the image size / 0.875', () => {
    expect([224, 128, 96].map((size) => imageTransform(size).resizeSize)).toEqual([256, 146, 110]);
  });
});

describe('crop', () => {
  // A short side of just the size to scale to: nothing is scaled, so every pixel tells where it was.
  const transform = { imageSize: 56, resizeSize: 64 };
  const wide = gradient(100, 64).png().toBuffer();
  const tall = gradient(64, 101).png().toBuffer();

  test('the centre, to the pixel', async () => {
    const pixels = await decodeCentre(await wide, transform);
    expect(pixels).toHaveLength(56 * 56 * 3);
    expect(pixel(pixels, 56, 0, 0)).toEqual([22, 4, 50]);
    expect(pixel(pixels, 56, 55, 55)).toEqual([77, 59, 50]);
    expect(pixel(await decodeCentre(await tall, transform), 56, 0, 0)).toEqual([4, 22, 50]);
  });

  test('the centre, as shares of the sides', () => {
    expect(centreRegion({ width: 100, height: 64 }, transform)).toEqual({
      x: 22 / 100,
      y: 4 / 64,
      width: 56 / 100,
      height: 56 / 64,
    });
    // Shares of the picture as it was before it was scaled.
    expect(centreRegion({ width: 400, height: 256 }, transform)).toEqual(
      centreRegion({ width: 100, height: 64 }, transform),
    );
  });

  test('within a time, if one is set', async () => {
    const huge = { imageSize: 12_000, resizeSize: 12_000 };
    await expect(decodeCentre(await wide, huge, { name: 'huge', seconds: 1 })).rejects.toMatchObject({
      code: 'IMAGE_UNREADABLE',
      message: expect.stringMatching(/^huge cannot be decoded: timeout/),
    });
    expect(await decodeCentre(await wide, transform, { seconds: 60 })).toHaveLength(56 * 56 * 3);
  });

  test.each<[Crop, number[], number[]]>([
    [{ x: 0, y: 0, flip: false }, [0, 0, 50], [55, 55, 50]],
    [{ x: 0.9999, y: 0.9999, flip: false }, [44, 8, 50], [99, 63, 50]],
    [{ x: 0.5, y: 0.25, flip: false }, [22, 2, 50], [77, 57, 50]],
    [{ x: 0, y: 0, flip: true }, [55, 0, 50], [0, 55, 50]],
    [{ x: 0.9999, y: 0.5, flip: true }, [99, 4, 50], [44, 59, 50]],
  ])('%o', async (crop, first, last) => {
    const pixels = await decodeCrop(await wide, transform, crop);
    expect(pixel(pixels, 56, 0, 0)).toEqual(first);
    expect(pixel(pixels, 56, 55, 55)).toEqual(last);
  });

  test.each([
    [1000, 500],
    [333, 777],
    [20, 30],
    [1, 1],
    [4000, 3],
  ])('a picture of %i x %i is scaled by its short side', async (width, height) => {
    const pixels = await decodeCentre(
      await painted(width, height, (x, y) => [(255 * x) / width, (255 * y) / height, 9])
        .png()
        .toBuffer(),
      transform,
    );
    expect(pixels).toHaveLength(56 * 56 * 3);
    const [red, green, blue] = pixel(pixels, 56, 28, 28);
    expect(blue).toBe(9);
    if (Math.min(width, height) < 20) return;
    expect(Math.abs(red! - 127)).toBeLessThan(10);
    expect(Math.abs(green! - 127)).toBeLessThan(10);
    // 56 of the short side's 64 pixels are seen.
    const short = width < height ? 0 : 1;
    const span = pixel(pixels, 56, 55, 55)[short]! - pixel(pixels, 56, 0, 0)[short]!;
    expect(Math.abs(span - (255 * 55) / 64)).toBeLessThan(8);
  });

  test.each([1, 2, 3, 4, 5, 6, 7, 8])('EXIF orientation %i is undone before anything else', async (orientation) => {
    // EXIF 2.3, tag 0x0112: which side the stored row 0 and column 0 show, e.g. 6 "row 0 is the right side, column 0 the
    // top". Each function says which pixel of the upright picture is stored at (x, y).
    const [width, height] = [100, 64];
    const stored = {
      1: painted(width, height, (x, y) => [x, y, 50]),
      2: painted(width, height, (x, y) => [width - 1 - x, y, 50]),
      3: painted(width, height, (x, y) => [width - 1 - x, height - 1 - y, 50]),
      4: painted(width, height, (x, y) => [x, height - 1 - y, 50]),
      5: painted(height, width, (x, y) => [y, x, 50]),
      6: painted(height, width, (x, y) => [width - 1 - y, x, 50]),
      7: painted(height, width, (x, y) => [width - 1 - y, height - 1 - x, 50]),
      8: painted(height, width, (x, y) => [y, height - 1 - x, 50]),
    }[orientation]!;
    const bytes = await stored.withMetadata({ orientation }).png().toBuffer();
    const pixels = await decodeCrop(bytes, transform, { x: 0, y: 0, flip: true });
    expect(pixel(pixels, 56, 0, 0)).toEqual([55, 0, 50]);
    expect(pixel(pixels, 56, 55, 55)).toEqual([0, 55, 50]);
  });
});

describe('colour', () => {
  const transform = { imageSize: 28, resizeSize: 32 };
  const flat = (red: number, green: number, blue: number) => painted(40, 40, () => [red, green, blue]);
  const colour = async (bytes: Uint8Array) => {
    const pixels = await decodeCentre(bytes, transform);
    expect(pixels).toHaveLength(28 * 28 * 3);
    return pixel(pixels, 28, 14, 14);
  };
  const near = (actual: number[], expected: number[], within: number) => {
    for (const [channel, value] of expected.entries())
      expect(Math.abs(actual[channel]! - value)).toBeLessThanOrEqual(within);
  };

  test.each(['png', 'jpeg', 'webp', 'tiff', 'avif', 'gif'] as const)('%s', async (format) => {
    near(await colour(await flat(200, 100, 50).toFormat(format, { quality: 95 }).toBuffer()), [200, 100, 50], 4);
  });

  test('greyscale, 8 and 16 bits, with and without alpha', async () => {
    const grey = flat(90, 90, 90).toColourspace('b-w');
    expect(await colour(await grey.png().toBuffer())).toEqual([90, 90, 90]);
    near(await colour(await flat(90, 90, 90).toColourspace('b-w').jpeg().toBuffer()), [90, 90, 90], 1);
    const bytes = await flat(90, 90, 90).toColourspace('grey16').png().toBuffer();
    expect((await sharp(bytes).metadata()).depth).toBe('ushort');
    expect(await colour(bytes)).toEqual([90, 90, 90]);
    const alpha = await sharp(Buffer.from(new Uint8Array(40 * 40 * 2).map((_, index) => (index % 2 ? 0 : 90))), {
      raw: { width: 40, height: 40, channels: 2 },
    })
      .toColourspace('b-w')
      .png()
      .toBuffer();
    expect((await sharp(alpha).metadata()).channels).toBe(2);
    expect(await colour(alpha)).toEqual([255, 255, 255]);
  });

  test('16-bit RGB', async () => {
    const bytes = await flat(200, 100, 50).toColourspace('rgb16').png().toBuffer();
    expect((await sharp(bytes).metadata()).depth).toBe('ushort');
    near(await colour(bytes), [200, 100, 50], 1);
  });

  test('a palette', async () => {
    const bytes = await flat(200, 100, 50).png({ palette: true }).toBuffer();
    expect((await sharp(bytes).metadata()).isPalette).toBe(true);
    expect(await colour(bytes)).toEqual([200, 100, 50]);
  });

  test('transparency is laid on white', async () => {
    const of = (alpha: number) =>
      sharp({ create: { width: 40, height: 40, channels: 4, background: { r: 200, g: 100, b: 50, alpha } } })
        .png()
        .toBuffer();
    expect(await colour(await of(0))).toEqual([255, 255, 255]);
    near(await colour(await of(0.5)), [228, 178, 153], 2);
    expect(await colour(await of(1))).toEqual([200, 100, 50]);
  });

  test.each([true, false])('CMYK (embedded profile: %s)', async (profile) => {
    let image = flat(200, 100, 50).toColourspace('cmyk').jpeg({ quality: 100, chromaSubsampling: '4:4:4' });
    if (profile) image = image.withIccProfile('cmyk');
    const bytes = await image.toBuffer();
    const { space, hasProfile } = await sharp(bytes).metadata();
    expect({ space, hasProfile }).toEqual({ space: 'cmyk', hasProfile: profile });
    // CMYK's range of colours is smaller than sRGB's: there and back is not exact.
    near(await colour(bytes), [200, 100, 50], 30);
  });

  test('a wide-gamut profile is turned to sRGB', async () => {
    const bytes = await flat(200, 100, 50).withIccProfile('p3').png().toBuffer();
    const { data } = await sharp(bytes, { ignoreIcc: true }).raw().toBuffer({ resolveWithObject: true });
    expect([...data.subarray(0, 3)]).not.toEqual([200, 100, 50]);
    near(await colour(bytes), [200, 100, 50], 3);
  });
});

describe('broken pictures', () => {
  test('that are pipes are named instead of waited for', async () => {
    const root = await folderOf({});
    execFileSync('mkfifo', [join(root, 'pipe.jpg')]);
    const bad = await checkImages([{ file: join(root, 'pipe.jpg'), label: 0 }]);
    expect(bad).toEqual([{ file: join(root, 'pipe.jpg'), reason: 'it is not a regular file' }]);
  });

  const good = () => gradient(200, 150).jpeg().toBuffer();

  test('decoding one names the file and what is wrong with it', async () => {
    const root = await folderOf({ 'text.jpg': 'not a picture', 'empty.jpg': '' });
    const transform = imageTransform(32);
    const decode = (name: string) => decodeCentre(join(root, name), transform);
    await expect(decode('text.jpg')).rejects.toMatchObject({ name: 'OrtuneError', code: 'IMAGE_UNREADABLE' });
    await expect(decode('text.jpg')).rejects.toThrow(
      /text\.jpg cannot be decoded: it contains unsupported image format\.$/,
    );
    await expect(decode('empty.jpg')).rejects.toThrow(/empty\.jpg cannot be decoded: the file is empty\.$/);
    await expect(decode('none.jpg')).rejects.toThrow(
      /none\.jpg cannot be decoded: the file cannot be read \(ENOENT\)\.$/,
    );
    await expect(decodeCentre(Buffer.from('x'), transform)).rejects.toThrow(/^The picture cannot be decoded/);
  });

  test.each(['jpeg', 'progressive', 'png', 'webp', 'gif', 'avif'] as const)('a %s cut short is found', async (kind) => {
    const noise = painted(160, 120, (x, y) => [(x * 97 + y * 31) % 256, (x * y) % 256, (x * 7 + y * y) % 256]);
    const bytes = await (kind === 'progressive' ? noise.jpeg({ progressive: true }) : noise.toFormat(kind)).toBuffer();
    const cuts = [0.2, 0.5, 0.9, 0.99].map((share) => Math.floor(bytes.length * share));
    const root = await folderOf({
      whole: bytes,
      ...Object.fromEntries(cuts.map((length) => [`cut${length}`, bytes.subarray(0, length)])),
    });
    const names = ['whole', ...cuts.map((length) => `cut${length}`)];
    const bad = await checkImages(names.map((name) => ({ file: join(root, name), label: 0 })));
    expect(bad.map(({ file }) => file)).toEqual(names.slice(1).map((name) => join(root, name)));
    for (const { reason } of bad) expect(reason).toMatch(/^[^\n]+$/);
  });

  test('checkImages reports progress and keeps the order of the samples', async () => {
    const root = await folderOf({ 'a.jpg': await good(), 'b.jpg': 'x', 'c.jpg': await good(), 'd.jpg': '' });
    const samples = ['d', 'a', 'b', 'c', 'e'].map((name) => ({ file: join(root, `${name}.jpg`), label: 0 }));
    const progress: string[] = [];
    const bad = await checkImages(samples, { onProgress: (done, total) => progress.push(`${done}/${total}`) });
    expect(bad).toEqual([
      { file: join(root, 'd.jpg'), reason: 'the file is empty' },
      { file: join(root, 'b.jpg'), reason: 'it contains unsupported image format' },
      { file: join(root, 'e.jpg'), reason: 'the file cannot be read (ENOENT)' },
    ]);
    expect(progress).toEqual(['1/5', '2/5', '3/5', '4/5', '5/5']);
  });

  test('checkImages stops when it is aborted', async () => {
    const root = await folderOf({ 'a.jpg': await good() });
    const samples = Array.from({ length: 200 }, () => ({ file: join(root, 'a.jpg'), label: 0 }));
    const stop = new AbortController();
    let seen = 0;
    const check = checkImages(samples, {
      signal: stop.signal,
      onProgress: (done) => {
        seen = done;
        if (done === 3) stop.abort(new Error('enough'));
      },
    });
    await expect(check).rejects.toThrow('enough');
    expect(seen).toBeLessThan(20);
  });

  test('the error lists every file with its reason', () => {
    const bad = Array.from({ length: 120 }, (_, index) => ({ file: `/p/${index}.jpg`, reason: `reason ${index}` }));
    const { message, code } = badImagesError(bad.slice(0, 2), 10);
    expect(code).toBe('IMAGE_UNREADABLE');
    expect(message).toContain('2 of 10 pictures');
    expect(message).toContain('\n  /p/0.jpg: reason 0\n  /p/1.jpg: reason 1\n');
    expect(message).toContain('--on-bad-image skip');
    expect(badImagesError(bad, 200).message).toContain('\n  and 20 more\n');
  });

  test('leaving them out keeps the labels, and needs something to be left', async () => {
    const bytes = await good();
    const root = await folderOf(
      Object.fromEntries(
        ['train/a/1', 'train/a/2', 'train/b/3', 'test/a/4', 'test/b/5'].map((name) => [`${name}.jpg`, bytes]),
      ),
    );
    const dataset = await openDataset(root);
    const bad = (...names: string[]) => names.map((name) => ({ file: join(root, name), reason: 'broken' }));
    const rest = withoutBadImages(dataset, bad('train/a/1.jpg', 'test/a/4.jpg'));
    expect(rest).toMatchObject({ classes: ['a', 'b'], train: dataset.train.slice(1), test: dataset.test.slice(1) });
    expect(() => withoutBadImages(dataset, bad('train/b/3.jpg'))).toThrow(
      expect.objectContaining({ code: 'DATASET_CLASSES', message: expect.stringContaining('"b"') }),
    );
    expect(() => withoutBadImages(dataset, bad('test/a/4.jpg', 'test/b/5.jpg'))).toThrow(
      expect.objectContaining({ code: 'DATASET_SPLIT' }),
    );
  });
});

describe.skipIf(!shared)('real photographs (ORTUNE_SHARED)', () => {
  test('flowers10: none of the 490 is broken, and one cut short is', async () => {
    const { train, valid, test: tested } = await openDataset(join(shared!, 'data/flowers10'));
    const samples = [...train, ...valid, ...tested];
    expect(samples).toHaveLength(490);
    expect(await checkImages(samples)).toEqual([]);
    const bytes = await readFile(samples[0]!.file);
    const root = await folderOf({ 'cut.jpg': bytes.subarray(0, bytes.length - 500) });
    expect(await checkImages([{ file: join(root, 'cut.jpg'), label: 0 }])).toEqual([
      { file: join(root, 'cut.jpg'), reason: expect.stringContaining('premature end of JPEG') },
    ]);
  });
});
