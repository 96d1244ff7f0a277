import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listPictures } from '../../src/inference/list-pictures.ts';

const FILES = [
  'a.jpg',
  'b.PNG',
  'notes.txt',
  '[1].jpg',
  '1.jpg',
  'what?.jpg',
  'deep/er/c.jpeg',
  'deep/d.webp',
  'deep/.hidden.jpg',
  'set [2]/e.jpg',
  'set [2]/(f).jpg',
  'texts/readme.md',
];

let folder: string;
const before = process.cwd();
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ortune-pictures-'));
  for (const file of FILES) {
    await mkdir(join(folder, dirname(file)), { recursive: true });
    await writeFile(join(folder, file), '');
  }
  await mkdir(join(folder, 'empty'));
  await symlink(join(folder, 'a.jpg'), join(folder, 'link.jpg'));
  process.chdir(folder);
});
afterAll(async () => {
  process.chdir(before);
  await rm(folder, { recursive: true });
});

describe('words', () => {
  it.each<[string, string[], string[]]>([
    ['files, as they are and in their order', ['b.PNG', 'a.jpg', 'notes.txt'], ['b.PNG', 'a.jpg', 'notes.txt']],
    ['a folder, with all pictures below it', ['deep'], ['deep/d.webp', 'deep/er/c.jpeg']],
    ['a folder by another way', ['./deep/er/..'], ['deep/d.webp', 'deep/er/c.jpeg']],
    ['a link to a picture', ['link.jpg'], ['link.jpg']],
    ['a pattern', ['*.jpg'], ['1.jpg', '[1].jpg', 'a.jpg', 'link.jpg', 'what?.jpg']],
    ['a pattern through folders', ['**/*.{webp,jpeg}'], ['deep/d.webp', 'deep/er/c.jpeg']],
    ['a file whose name reads as a pattern', ['[1].jpg', 'what?.jpg'], ['[1].jpg', 'what?.jpg']],
    ['a folder whose name reads as a pattern', ['set [2]'], ['set [2]/(f).jpg', 'set [2]/e.jpg']],
    ['a pattern, where no file has that name', ['[ab].*'], ['a.jpg', 'b.PNG']],
    [
      'the same several times',
      ['a.jpg', './a.jpg', '?.jpg', 'deep', 'deep/d.webp'],
      ['a.jpg', '1.jpg', 'deep/d.webp', 'deep/er/c.jpeg'],
    ],
  ])('may stand for %s', async (_, words, files) => {
    expect(await listPictures(words)).toEqual(files);
  });

  it('may be absolute', async () => {
    expect(await listPictures([join(folder, 'deep'), join(folder, 'deep/*')])).toEqual([
      join(folder, 'deep/d.webp'),
      join(folder, 'deep/er/c.jpeg'),
    ]);
    expect(await listPictures([join(folder, 'set [2]'), 'set [2]/e.jpg'])).toEqual([
      join(folder, 'set [2]/(f).jpg'),
      join(folder, 'set [2]/e.jpg'),
    ]);
  });

  it.each(['absent.jpg', '*.gif', 'empty', 'texts', '', '/dev/null'])(
    'that stand for nothing are named: "%s"',
    async (word) => {
      await expect(listPictures(['a.jpg', word])).rejects.toMatchObject({
        code: 'PICTURES_NOT_FOUND',
        message: `expected a picture, a folder of pictures or a pattern, but "${word}" stands for no file.`,
      });
    },
  );
});
