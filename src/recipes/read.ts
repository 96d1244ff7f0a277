/** From YAML to a checked recipe; every complaint names its line. */
import { type Document, isMap, isScalar, LineCounter, type Node, parseDocument, visit } from 'yaml';
import type { z } from 'zod';
import { OrtuneError } from '../errors.ts';
import { nearest } from './nearest.ts';
import { type Recipe, recipeSchema } from './schema.ts';

/** A hundred times what a recipe needs. */
export const LARGEST_RECIPE = 64 * 1024;
/** Uses of anchors; each may repeat all that it stands for. */
const MOST_ALIASES = 20;
const MOST_COMPLAINTS = 10;

type Path = readonly PropertyKey[];
type Locate = (path: Path, of: 'key' | 'value') => string;

/**
 * Reads a recipe's text: YAML 1.2, plain data only.
 *
 * @param file named in messages
 * @param name of a recipe that has none of its own
 * @throws OrtuneError `RECIPE_INVALID` with a line for each complaint: file, line, setting, what was expected, what came
 */
export function readRecipe(source: string, file: string, name: string): Recipe {
  const lines = new LineCounter();
  const { data, document } = parse(source, file, lines);
  const locate: Locate = (path, of) => {
    const node = nodeAt(document, path, of);
    return node?.range ? `${file}:${lines.linePos(node.range[0]).line}` : file;
  };
  return { name, ...check(data, locate) };
}

/**
 * Checks settings that came some other way than by a file.
 *
 * @param where named in messages
 * @throws OrtuneError `RECIPE_INVALID`
 */
export function checkRecipe(data: unknown, where: string): Recipe {
  return { name: where, ...check(data, () => where) };
}

function parse(source: string, file: string, lines: LineCounter): { data: unknown; document: Document } {
  const fail = (line: number | undefined, problem: string): never => {
    throw new OrtuneError('RECIPE_INVALID', `${file}${line === undefined ? '' : `:${line}`}: ${problem}`);
  };
  if (Buffer.byteLength(source) > LARGEST_RECIPE) {
    fail(undefined, `expected a recipe of at most ${LARGEST_RECIPE} bytes, received ${Buffer.byteLength(source)}.`);
  }
  try {
    const document = parseDocument(source, { lineCounter: lines, prettyErrors: false, stringKeys: true });
    // Warnings too: an unknown tag would be passed over.
    const [problem] = [...document.errors, ...document.warnings];
    if (problem) {
      const what = problem.code === 'MULTIPLE_DOCS' ? 'it holds several documents' : problem.message;
      fail(lines.linePos(problem.pos[0]).line, `expected sound YAML: ${what}.`);
    }
    visit(document, {
      // Where names are free, as those of patterns, it would be left out without a word.
      Pair: (_, { key }) => {
        if (!isScalar(key) || key.value !== '__proto__') return;
        fail(lines.linePos(key.range![0]).line, 'expected names of settings and patterns, received __proto__.');
      },
    });
    return { data: document.toJS({ maxAliasCount: MOST_ALIASES }), document };
  } catch (error) {
    if (error instanceof OrtuneError) throw error;
    // Too many aliases, or brackets nested until the stack is full.
    return fail(undefined, `expected a recipe in YAML, but it cannot be read: ${(error as Error).message}.`);
  }
}

function check(data: unknown, locate: Locate): z.infer<typeof recipeSchema> {
  const { success, data: recipe, error } = recipeSchema.safeParse(data, { reportInput: true });
  if (success) return recipe;
  const complaints = error.issues.flatMap((issue) => complaintsOf(issue, [], locate));
  const left = complaints.length - MOST_COMPLAINTS;
  const shown = complaints.slice(0, MOST_COMPLAINTS).map((complaint) => complaint());
  if (left > 0) shown.push(`and ${left} more`);
  throw new OrtuneError('RECIPE_INVALID', shown.join('\n'));
}

/** Each to be worded when it is shown: to find the lines of ten thousand takes seconds. */
function complaintsOf(issue: z.core.$ZodIssue, above: Path, locate: Locate): (() => string)[] {
  const path = [...above, ...issue.path];
  if (issue.code === 'unrecognized_keys') {
    const known = issue.message.split(', ');
    return issue.keys.map((key) => () => {
      const meant = nearest(key, known);
      const remedy = meant === undefined ? `expected one of ${issue.message}` : `did you mean ${meant}?`;
      return `${locate([...path, key], 'key')}: ${named([...path, key])}: unknown setting; ${remedy}`;
    });
  }
  // Of a choice of forms, the one that was begun: its own complaints say more than that none fits.
  const begun = issue.code === 'invalid_union' && issue.errors.find((form) => form.every(isInside));
  if (begun && begun.length > 0) return begun.flatMap((inner) => complaintsOf(inner, path, locate));
  if (issue.code === 'invalid_key') {
    return [() => `${locate(path, 'key')}: ${named(path)}: expected ${issue.issues[0]?.message}`];
  }
  const came = () => shown(inputOf(issue));
  return [() => `${locate(path, 'value')}: ${named(path)}: expected ${issue.message}; received ${came()}`];
}

/** Of a choice by kind the issue names the kind, but holds all that was chosen for. */
function inputOf(issue: z.core.$ZodIssue): unknown {
  const { code, input } = issue;
  if (code !== 'invalid_union' || issue.discriminator === undefined) return input;
  return (input as Record<string, unknown>)[issue.discriminator];
}

/** Whether the complaint is about a part, so that the whole has the right form. */
function isInside({ code, path }: z.core.$ZodIssue): boolean {
  return path.length > 0 || code === 'unrecognized_keys';
}

const named = (path: Path) => (path.length === 0 ? 'the recipe' : path.map(word).join('.'));

/** A key must not steer the terminal that it is shown on. */
function word(key: PropertyKey): string {
  const name = String(key).slice(0, 100);
  return /^[\w.*-]+$/.test(name) ? name : JSON.stringify(name);
}

function shown(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  if (value === null || value === undefined) return 'nothing';
  if (typeof value === 'object') return 'settings';
  return typeof value === 'string' ? JSON.stringify(value.slice(0, 100)) : String(value);
}

/** The node that a path leads to, or the nearest above it: what is missing is missed there. */
function nodeAt(document: Document, path: Path, of: 'key' | 'value'): Node | undefined {
  if (path.length === 0) return (document.contents as Node | null) ?? undefined;
  const parent = path.length === 1 ? document.contents : document.getIn(path.slice(0, -1), true);
  if (of === 'value') {
    const node = document.getIn(path, true);
    if (node) return node as Node;
  }
  if (isMap(parent)) {
    const pair = parent.items.find(({ key }) => isScalar(key) && key.value === path.at(-1));
    if (pair) return pair.key as Node;
  }
  return nodeAt(document, path.slice(0, -1), 'key');
}
