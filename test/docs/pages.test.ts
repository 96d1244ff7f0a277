// What pages say of the program holds: links lead somewhere, commands and flags exist, codes are those of the source.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { globSync } from 'tinyglobby';
import { describe, expect, test } from 'vitest';
import { PROBLEM_CODES } from '../../src/check-data/types.ts';
import { SOURCES } from '../../src/download/index.ts';
import { readRecipe } from '../../src/recipes/index.ts';
import { calledBy, complaintOf, flagsOf, isScript } from './command-line.ts';
import { pages, readPage, root, targetOf, wordsOf } from './markdown.ts';

/** Kinds of blocks: `examples.test.ts` runs those that are commands and programs. */
const LANGUAGES = ['', 'sh', 'ts', 'html', 'json', 'nginx', 'python', 'yaml'];

describe.each(pages.map((page) => [page.file, page] as const))('%s', (_, page) => {
  test('its links lead somewhere', () => {
    const lost = page.links.filter((link) => {
      if (/^https?:/.test(link)) return !URL.canParse(link);
      const { path, anchor } = targetOf(page, link);
      if (!existsSync(join(root, path))) return true;
      return anchor !== '' && !readPage(path).anchors.has(anchor);
    });
    expect(lost).toEqual([]);
  });

  test('its commands are taken by the parser', { timeout: 60_000 }, async () => {
    const wrong: string[] = [];
    for (const { where, language, code } of page.blocks) {
      if (!LANGUAGES.includes(language)) wrong.push(`${where}: a block of ${language}`);
      if (language !== 'sh') continue;
      for (const line of code.split('\n').filter((line) => wordsOf(line).length > 0)) {
        const words = wordsOf(line);
        const called = calledBy(words);
        const complaint = called && (await complaintOf(called));
        if (complaint !== undefined) wrong.push(`${where}: ${line}: ${complaint}`);
        const [first, second, script] = words;
        if (first === 'npm' && second === 'run' && !isScript(script ?? '')) wrong.push(`${where}: no script ${script}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  test('its inline commands and flags exist', async () => {
    const wrong: string[] = [];
    for (const span of page.spans) {
      const words = wordsOf(span);
      const called = calledBy(words);
      const known = called ? await flagsOf(called.name).catch(() => undefined) : undefined;
      if (called && !known) wrong.push(span);
      for (const flag of words.filter((word) => /^--[a-z]/.test(word))) {
        const name = flag.split('=')[0] as string;
        if (known ? !known.includes(name) : !(await everyFlag).has(name)) wrong.push(`${span}: ${name}`);
      }
    }
    expect(wrong).toEqual([]);
  });
});

/** Of all commands, and of the tools that pages name. */
const everyFlag: Promise<ReadonlySet<string>> = (async () => {
  const commands = globSync('src/cli/*.ts', { cwd: root }).map((file) => file.slice('src/cli/'.length, -'.ts'.length));
  const own = await Promise.all([...commands, 'setup'].map((name) => flagsOf(name)));
  const tools =
    '--depth --enable_training_apis --expose-gc --ignore-scripts --image-size --inputs --kinds --logdir --minutes --pictures --rounds --runs --steps --version';
  return new Set([...own.flat(), ...tools.split(' ')]);
})();

describe('what tables list', () => {
  const pageOf = (name: string) => readFileSync(join(root, 'docs', name), 'utf8');

  test('troubleshooting: every code of the source, and no other', () => {
    const inSource = new Set<string>();
    const add = (pattern: string, expression: RegExp) => {
      for (const file of globSync(pattern, { cwd: root })) {
        for (const [, code] of readFileSync(join(root, file), 'utf8').matchAll(expression)) inSource.add(code!);
      }
    };
    add('{src,onnx,scripts}/**/*.ts', /(?:OrtuneError|HttpError)\(\s*(?:\d+,\s*)?'([A-Z_]+)'/g);
    add('native/src/**/*.rs', /"((?!CARGO_|ORTUNE_)[A-Z]+(?:_[A-Z]+)+|DISPOSED)"/g);
    const onPage = new Set(
      [...pageOf('troubleshooting.md').matchAll(/`([A-Z]+(?:_[A-Z]+)*)`/g)].map(([, code]) => code!),
    );
    const variables = ['HTTPS_PROXY', 'ORTUNE_ORT_LIBRARY', 'XDG_CACHE_HOME'];
    for (const variable of variables) onPage.delete(variable);
    expect([...onPage].sort()).toEqual([...inSource].sort());
  });

  test('data: every finding of check-data', () => {
    const rows = pageOf('data.md').matchAll(/^\| ((?:`[A-Z_]+`(?:, )?)+) \|/gm);
    const listed = [...rows].flatMap(([, cell]) => cell!.match(/[A-Z_]+/g) ?? []);
    expect(listed).toEqual([...PROBLEM_CODES]);
  });

  test('weights: every source with its address', () => {
    const page = pageOf('weights.md');
    for (const { name, files } of SOURCES) {
      expect(page).toContain(`\`${name}\``);
      const { url } = files.at(-1)!;
      expect(page).toContain(files.length === 1 ? `<${url}>` : `<${url.slice(0, url.lastIndexOf('/'))}>`);
    }
  });

  test('recipes: the YAML is a recipe', () => {
    const yaml = pages.flatMap(({ blocks }) => blocks.filter(({ language }) => language === 'yaml'));
    expect(yaml.length).toBeGreaterThan(0);
    for (const { code, where } of yaml) expect(readRecipe(code, where, 'mine')).toHaveProperty('finetune');
  });

  test('the index names every page', () => {
    const index = readPage('docs/README.md');
    const listed = new Set(index.links.map((link) => targetOf(index, link).path));
    const others = pages.map(({ file }) => file).filter((file) => file.startsWith('docs/') && file !== index.file);
    expect(others.filter((file) => !listed.has(file))).toEqual([]);
  });
});
