// Every command and program of the pages runs as it stands, in order, or is marked with the reason why not. Pictures and
// weights are stand-ins of the names that the pages use.
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { describeInBrowser, launchBrowser } from '../browser.ts';
import { ORTUNE, runProcess } from '../cli/command.ts';
import { shared } from '../shared.ts';
import { calledBy } from './command-line.ts';
import { type Block, pages, root, wordsOf } from './markdown.ts';

const blocks = (...languages: string[]) =>
  pages.flatMap((page) => page.blocks.filter(({ language }) => languages.includes(language)));
const isRun = ({ marks }: Block) => !marks.has('not run') && !marks.has('excerpt');

/** One pass teaches as much about the command as eight. */
const SHORTER: readonly (readonly [string, string])[] = [['--passes 8', '--passes 1']];

const folder = mkdtempSync(join(tmpdir(), 'ortune-docs-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Four pictures of each of ten flowers, a folder for each; a spoiled folder; weights. */
function standIns(from: string): void {
  const rows = readFileSync(join(from, 'data/flowers10/labels.csv'), 'utf8').trim().split('\n').slice(1);
  const counts = new Map<string, number>();
  const put = (file: string, label: string) => {
    const target = join(folder, 'photos', label);
    mkdirSync(target, { recursive: true });
    copyFileSync(join(from, 'data/flowers10', file), join(target, file.split('/').at(-1)!));
  };
  for (const row of rows) {
    const [file = '', label = ''] = row.split(',');
    const count = (counts.get(label) ?? 0) + 1;
    counts.set(label, count);
    if (count <= 4 || /image_0(2348|1336)\.jpg$/.test(file)) put(file, label);
  }
  for (const [name, like] of [
    ['cat', 'petunia'],
    ['dog', 'artichoke'],
  ] as const) {
    cpSync(join(folder, 'photos', like), join(folder, 'spoiled', name), { recursive: true });
  }
  writeFileSync(join(folder, 'spoiled/dog/404.jpg'), '<!doctype html><title>404</title>');
  symlinkSync(join(from, 'weights/resnet50-thin.safetensors'), join(folder, 'resnet50-thin.safetensors'));
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
}

test('what is not run says why', () => {
  const silent = blocks('sh')
    .filter(isRun)
    .flatMap(({ where, code }) => code.split('\n').map((line) => ({ where, line, words: wordsOf(line) })))
    .filter(({ words }) => words.length > 0 && !calledBy(words))
    .map(({ where, line }) => `${where}: ${line}`);
  expect(silent).toEqual([]);
  expect(blocks('python').filter(isRun)).toEqual([]);
});

test('excerpts are of the files that they name', () => {
  for (const { code, marks, where } of blocks('ts')) {
    const file = marks.get('excerpt');
    if (file) expect(readFileSync(join(root, file), 'utf8'), where).toContain(code);
  }
});

test('programs are of the types that the library has', { timeout: 120_000 }, () => {
  const place = mkdtempSync(join(tmpdir(), 'ortune-docs-types-'));
  try {
    symlinkSync(join(root, 'node_modules'), join(place, 'node_modules'));
    const config = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile).config;
    const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root);
    const files = blocks('ts')
      .filter(({ marks }) => !marks.has('excerpt'))
      .map(({ code, where }, index) => {
        const file = join(place, `${index}.mts`);
        writeFileSync(file, `// ${where}\n${code}export {};\n`);
        return file;
      });
    const program = ts.createProgram(files, { ...options, typeRoots: [join(root, 'node_modules/@types')] });
    // The pages' programs alone: the library has a check of its own, which takes longer.
    const complaints = files.flatMap((file) => {
      const source = program.getSourceFile(file)!;
      const found = [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)];
      return found.map(
        ({ messageText }) => `${source.text.split('\n')[0]}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`,
      );
    });
    expect(complaints).toEqual([]);
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
});

describe.skipIf(!shared)('on photographs', { timeout: 300_000 }, () => {
  beforeAll(() => standIns(shared as string));

  const lines = blocks('sh')
    .filter(isRun)
    .flatMap(({ where, code, marks }) =>
      code.split('\n').map((line) => ({ where, line, exits: Number(marks.get('exits') ?? 0) })),
    )
    .filter(({ line }) => wordsOf(line).length > 0);
  // What makes the models that others use comes first.
  const ordered = [
    ...lines.filter(({ line }) => line.includes(' fit ')),
    ...lines.filter(({ line }) => !line.includes(' fit ')),
  ];

  test.each([...new Map(ordered.map((entry) => [entry.line, entry])).values()])(
    '$where: $line',
    async ({ line, exits }) => {
      const shown = SHORTER.reduce((text, [from, to]) => text.replace(from, to), line);
      const { name, args } = calledBy(wordsOf(shown))!;
      const outcome = await runProcess(folder, [process.execPath, ORTUNE, name, ...args]);
      expect({ ...outcome, stdout: '' }).toEqual({ code: exits, stdout: '', stderr: '' });
      expect(outcome.stdout).not.toBe('');
    },
  );

  test.each(blocks('ts').filter(isRun))('$where', async ({ code, where }) => {
    const file = join(folder, `${where.replaceAll(/\W/g, '-')}.mts`);
    writeFileSync(file, code);
    const command = [process.execPath, '--import', import.meta.resolve('tsx'), file];
    const outcome = await runProcess(folder, command, { env: { TSX_TSCONFIG_PATH: join(root, 'tsconfig.json') } });
    expect({ ...outcome, stdout: '' }).toEqual({ code: 0, stdout: '', stderr: '' });
    expect(outcome.stdout).not.toBe('');
  });

  describeInBrowser('in a browser', () => {
    test.each(blocks('html').filter(isRun))('$where', async ({ code }) => {
      const runtime = dirname(fileURLToPath(import.meta.resolve('onnxruntime-web/wasm')));
      const types: Record<string, string> = { mjs: 'text/javascript', wasm: 'application/wasm', html: 'text/html' };
      const server = createServer(async ({ url = '/' }, response) => {
        const name = url.split('/').at(-1) as string;
        const place = url.startsWith('/ort/') ? runtime : join(folder, 'models/infer_model');
        const body = name === '' ? code : await readFile(join(place, name)).catch(() => undefined);
        const type = types[name === '' ? 'html' : (name.split('.').at(-1) as string)] ?? 'application/octet-stream';
        response.writeHead(body === undefined ? 404 : 200, { 'content-type': type }).end(body);
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const browser = await launchBrowser();
      try {
        const page = await browser.newPage();
        await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
        await page.waitForSelector('input:enabled', { timeout: 60_000 });
        await page.setInputFiles('input', join(folder, 'photos/petunia/image_01336.jpg'));
        await page.waitForFunction("document.querySelector('output').textContent", undefined, { timeout: 60_000 });
        const labels = JSON.parse(readFileSync(join(folder, 'models/infer_model/labels.json'), 'utf8'));
        const [label, share] = ((await page.textContent('output')) as string).split(', ');
        expect(labels).toContain(label);
        expect(share).toMatch(/^\d+\.\d %$/);
      } finally {
        await browser.close();
        server.close();
      }
    });
  });
});
