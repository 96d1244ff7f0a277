import { readFile } from 'node:fs/promises';
import type { Reply } from './reply.ts';

const TYPES = { html: 'text/html', css: 'text/css', js: 'text/javascript', svg: 'image/svg+xml' } as const;

/** The page's files, from the folder `page/` beside this module, by the path that each is served at. */
const FILES = {
  '/': 'index.html',
  '/theme.css': '../../report-html/style/theme.css',
  '/page.css': 'page.css',
  '/answer.css': 'answer.css',
  '/page.js': 'page.js',
  '/picture.js': 'picture.js',
  '/heat.js': 'heat.js',
  '/icon.svg': 'icon.svg',
} as const;

/** Answers with the page and what belongs to it, read once. */
export async function loadPage(): Promise<ReadonlyMap<string, Reply>> {
  const replies = Object.entries(FILES).map(async ([path, file]) => {
    const type = TYPES[file.slice(file.lastIndexOf('.') + 1) as keyof typeof TYPES];
    const body = await readFile(new URL(`./page/${file}`, import.meta.url));
    return [path, { status: 200, type: `${type}; charset=utf-8`, body }] as const;
  });
  return new Map(await Promise.all(replies));
}
