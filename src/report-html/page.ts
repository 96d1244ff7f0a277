import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { DataReport } from '../check-data/index.ts';
import { percent } from './format.ts';
import { html, raw } from './html.ts';
import type { Result } from './read-result.ts';
import { calibration } from './sections/calibration.ts';
import { classes } from './sections/classes.ts';
import { confusion } from './sections/confusion.ts';
import { findings } from './sections/findings.ts';
import { header, titleOf } from './sections/header.ts';
import { pictures } from './sections/pictures.ts';
import type { Section } from './sections/section.ts';
import { setup } from './sections/setup.ts';
import { time } from './sections/time.ts';
import { training } from './sections/training.ts';
import { use } from './sections/use.ts';

/** What is put into the page as it is: files in `style/` and `client/`. */
const STYLES = [
  'theme.css',
  'base.css',
  'header.css',
  'parts.css',
  'charts.css',
  'tables.css',
  'mistakes.css',
  'facts.css',
  'media.css',
];
const SCRIPTS = ['charts.js', 'matrix.js', 'table.js', 'copy.js'];

export interface PageOptions {
  /** Data URIs of the pictures furthest off, in their order. */
  readonly thumbnails: readonly (string | undefined)[];
  readonly checkFindings?: DataReport | undefined;
}

/**
 * The page as a whole. It asks for nothing from anywhere: its policy lets pass its own style and scripts, by their hashes,
 * and pictures within it.
 */
export async function page(result: Result, { thumbnails, checkFindings }: PageOptions): Promise<string> {
  const { run, metrics } = result;
  const [styles, scripts] = await Promise.all([read('style', STYLES), read('client', SCRIPTS)]);
  const style = styles.join('');
  const policy = [
    "default-src 'none'",
    'img-src data:',
    `style-src ${hash(style)}`,
    `script-src ${scripts.map(hash).join(' ')}`,
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
  const sections: Section[] = [
    training(result),
    ...(metrics
      ? [
          confusion(metrics),
          classes(metrics),
          ...(metrics.topLosses.length > 0 ? [pictures(metrics, thumbnails)] : []),
          ...(metrics.pictures > metrics.notFinite ? [calibration(metrics)] : []),
        ]
      : []),
    ...(checkFindings ? [findings(checkFindings)] : []),
    time(run),
    setup(run),
    use(result),
  ];
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="ortune ${run.versions['ortune']}">
<title>${titleOf(result)}${metrics && `: ${percent(metrics.top1)}`}</title>
<style>${raw(style)}</style>
</head>
<body>
<main>
${header(result, sections)}
${sections.map(({ content }) => content)}
</main>
${scripts.map((script) => html`<script type="module">${raw(script)}</script>\n`)}
</body>
</html>
`.text;
}

const read = (folder: string, files: readonly string[]) =>
  Promise.all(files.map((file) => readFile(new URL(`${folder}/${file}`, import.meta.url), 'utf8')));

const hash = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
