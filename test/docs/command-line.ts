/** Commands that pages show, before the parser that the executable has. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { vi } from 'vitest';
import { type Command, run } from '../../src/cli/run.ts';
import { root } from './markdown.ts';

export interface Called {
  readonly name: string;
  readonly args: readonly string[];
}

const { scripts }: { scripts: Record<string, string> } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

/** The command of ortune's that a line calls, as `npx ortune NAME ...` or in a clone `npm run NAME -- ...`. */
export function calledBy(words: readonly string[]): Called | undefined {
  const line = words.slice(words.findIndex((word) => !/^[A-Z_]+=/.test(word)));
  const [first, second, name, ...rest] = line;
  if (first === 'npx' && second === 'ortune' && name) return { name, args: rest };
  const isOurs = name !== undefined && scripts[name]?.endsWith(`ortune.mjs ${name}`);
  if (first === 'npm' && second === 'run' && isOurs) return { name, args: rest.filter((word) => word !== '--') };
  return undefined;
}

/** Whether `npm run NAME` exists. */
export const isScript = (name: string): boolean => name in scripts;

/** Flags of the two commands that are plain Node. */
const PLAIN: Readonly<Record<string, readonly string[]>> = {
  setup: ['--cuda', '--cpu', '--quiet', '--help'],
  doctor: [],
};

/** @returns undefined for `setup` and `doctor` */
export async function commandOf(name: string): Promise<Command<never> | undefined> {
  if (name in PLAIN) return undefined;
  const module: Record<string, unknown> = await import(`../../src/cli/${name}.ts`);
  return Object.values(module).find((value) => typeof value === 'object' && value !== null && 'handle' in value) as
    | Command<never>
    | undefined;
}

/** The flags that a command has. */
export async function flagsOf(name: string): Promise<string[]> {
  const command = await commandOf(name);
  const own = command && Object.keys(command.flags).map((flag) => `--${flag}`);
  return [...(own ?? PLAIN[name] ?? []), '--help'];
}

/** What the parser says against a command line; `undefined` when it takes it. Nothing is run. */
export async function complaintOf({ name, args }: Called): Promise<string | undefined> {
  const command = await commandOf(name);
  if (!command) return args.find((arg) => !PLAIN[name]?.includes(arg));
  const argv = process.argv;
  const said = vi.spyOn(console, 'error').mockReturnValue();
  process.stdout.setMaxListeners(0);
  try {
    process.argv = [argv[0] as string, 'ortune', ...args];
    await run({ ...command, handle: async () => {} });
    return said.mock.calls[0]?.map(String).join(' ');
  } finally {
    process.argv = argv;
    process.exitCode = 0;
    said.mockRestore();
  }
}
