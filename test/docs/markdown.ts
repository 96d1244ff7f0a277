/** Pages as tests see them: their blocks of code, headings, links and inline code. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../../', import.meta.url));

export interface Block {
  /** `docs/data.md:12`, the line of its first fence. */
  readonly where: string;
  /** `sh`, `ts`, ...; empty for output. */
  readonly language: string;
  readonly code: string;
  /** From comments right before it, such as `<!-- not run: needs the network -->`: the reason by `not run`. */
  readonly marks: ReadonlyMap<string, string>;
}

export interface Page {
  /** Relative to the root. */
  readonly file: string;
  readonly blocks: readonly Block[];
  /** What `#...` may say. */
  readonly anchors: ReadonlySet<string>;
  readonly links: readonly string[];
  /** Code within a line. */
  readonly spans: readonly string[];
}

/** The README and all of docs/. */
export const pages: readonly Page[] = [
  'README.md',
  ...readdirSync(join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
].map(readPage);

export function readPage(file: string): Page {
  const lines = readFileSync(join(root, file), 'utf8').split('\n');
  const blocks: Block[] = [];
  const text: string[] = [];
  const marks = new Map<string, string>();
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at]!;
    const language = /^```(\w*)$/.exec(line)?.[1];
    const [, mark, reason] = /^<!-- ([\w ]+): (.+) -->$/.exec(line) ?? [];
    if (language !== undefined) {
      const end = lines.indexOf('```', at + 1);
      const code = `${lines.slice(at + 1, end).join('\n')}\n`;
      blocks.push({ where: `${file}:${at + 1}`, language, code, marks: new Map(marks) });
      marks.clear();
      at = end;
    } else if (mark !== undefined && reason !== undefined) {
      marks.set(mark, reason);
    } else {
      if (line !== '') marks.clear();
      text.push(line);
    }
  }
  const prose = text.join('\n');
  const bare = prose.replace(/`[^`\n]*`/g, '');
  return {
    file,
    blocks,
    anchors: new Set(text.flatMap((line) => /^#+ (.+)$/.exec(line)?.[1] ?? []).map(slugOf)),
    links: [...bare.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link]) => link!),
    spans: [...prose.matchAll(/`([^`\n]+)`/g)].map(([, span]) => span!),
  };
}

/** As GitHub makes anchors of headings. */
function slugOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
}

/** The path that a page's link leads to, relative to the root, and its anchor. */
export function targetOf({ file }: Page, link: string): { path: string; anchor: string } {
  const [path = '', anchor = ''] = link.split('#');
  return { path: path === '' ? file : relative(root, join(root, dirname(file), path)), anchor };
}

/** A line of shell as words: quotes are taken off, a comment at its end is left out. */
export function wordsOf(line: string): string[] {
  const words: string[] = [];
  for (const [word] of line.matchAll(/#.*|(?:'[^']*'|"[^"]*"|[^\s'"])+/g)) {
    if (word.startsWith('#')) break;
    words.push(word.replace(/'([^']*)'|"([^"]*)"/g, '$1$2'));
  }
  return words;
}
