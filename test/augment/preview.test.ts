import { join } from 'node:path';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import { runCommand } from '../cli/command.ts';
import { folderOf, painted } from '../data/fixtures.ts';

const preview = (cwd: string, ...args: string[]) => runCommand(cwd, 'preview', args);

async function data(): Promise<string> {
  const flat = async (red: number) =>
    painted(40, 30, () => [red, 0, 0])
      .png()
      .toBuffer();
  return folderOf({
    'pictures/a & b/1.png': await flat(250),
    'pictures/a & b/2.png': await flat(240),
    'pictures/c/3.png': await flat(230),
    'pictures/c/4.png': await flat(220),
  });
}

test('rows of pictures, columns of passes, in a PNG file', async () => {
  const root = await data();
  const args = ['--data', 'pictures', '--pictures', '2', '--passes', '3', '--image-size', '32'];
  const { code, stdout, stderr } = await preview(root, ...args, '--out', 'new/sheet.png', '--crop-scale', '0.3');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout.trimEnd().split('\n')).toEqual([
    expect.stringMatching(/^(a & b|c): .*\.png$/),
    expect.stringMatching(/^(a & b|c): .*\.png$/),
    'Wrote new/sheet.png.',
  ]);
  const { data: pixels, info } = await sharp(join(root, 'new/sheet.png'))
    .removeAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  const red = (x: number, y: number) => [...pixels.subarray((y * info.width + x) * 3, (y * info.width + x) * 3 + 3)];
  // The last square of the last row, of 32 pixels, and the margin around it.
  expect(red(info.width - 17, info.height - 17)).toEqual([
    expect.toSatisfy((value) => value >= 220 && value <= 250),
    0,
    0,
  ]);
  expect(red(info.width - 48, info.height - 48)).toEqual(red(info.width - 17, info.height - 17));
  expect(red(info.width - 15, info.height - 15)).toEqual([255, 255, 255]);
  expect(red(info.width - 49, info.height - 48)).toEqual([255, 255, 255]);
});

test.each([
  [['--out', 'sheet.jpg'], '--out sheet.jpg: expected a .png file outside '],
  [['--out', 'pictures/c/sheet.png'], '--out pictures/c/sheet.png: expected a .png file outside '],
  [['--out', 'sheet.png', '--pictures', '0'], '--pictures: expected a whole number from 1 to 100, received 0.'],
  [
    ['--out', 'sheet.png', '--jitter', '1', '2'],
    '--jitter: expected four numbers (brightness, contrast, saturation, hue)',
  ],
  [['--out', 'sheet.png', '--erasing', '2'], 'erasing: expected a number from 0 to 1, received 2.'],
])('refuses %j', async (args, message) => {
  const { code, stdout, stderr } = await preview(await data(), '--data', 'pictures', ...args);
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(stderr).toContain(`Error: ${message}`);
});
