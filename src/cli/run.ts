import yargs, { type Options as FlagOptions } from 'yargs';
import { hideBin } from 'yargs/helpers';
import { OrtuneError } from '../errors.ts';
import { isSystemError, outputError } from '../output-error.ts';
import { Interrupted } from './stage.ts';

/** `batchSize` as flags have it: `batch-size`. */
type Kebab<Name> = Name extends `${infer First}${infer Rest}`
  ? `${First extends Lowercase<First> ? First : `-${Lowercase<First>}`}${Kebab<Rest>}`
  : '';

export interface Command<Options> {
  /** First line of the help text. */
  readonly usage: string;
  /** The flags by name; `handle` gets their values under the name in camelCase. */
  readonly flags: { readonly [Flag in Kebab<keyof Options>]: FlagOptions };
  /** How many arguments beside the flags it takes. */
  readonly positionals?: 'none' | 'some';
  /** @param unread aborted when the reader of standard output has seen enough (`| head`) and closed the pipe */
  handle(args: Options & { _: string[] }, unread: AbortSignal): Promise<void>;
}

/**
 * Runs a command as a program: parses the arguments strictly, prints errors that are meant for people without a stack,
 * and exits with 1 when something went wrong.
 */
export async function run<Options>(command: Command<Options>): Promise<void> {
  const unread = new AbortController();
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE' && !unread.signal.aborted) {
      console.error(`Error: ${(outputError('standard output', error) as Error).message}`);
      process.exitCode = 1;
    }
    unread.abort();
  });
  try {
    await command.handle((await parse(command)) as Options & { _: string[] }, unread.signal);
  } catch (error) {
    console.error(isForPeople(error) ? `Error: ${error.message}` : error);
    process.exitCode = error instanceof Interrupted ? error.exitCode : 1;
  }
}

async function parse<Options>(command: Command<Options>): Promise<Record<string, unknown>> {
  const { usage, positionals } = command;
  const flags: Readonly<Record<string, FlagOptions>> = command.flags;
  const base = yargs(hideBin(process.argv))
    .scriptName('')
    // Our own messages are in English; yargs would put its half into the user's language.
    .locale('en')
    // A picture named 1e3 is no number.
    .parserConfiguration({ 'parse-positional-numbers': false, 'camel-case-expansion': false })
    .usage(usage)
    .options(flags)
    .requiresArg(Object.keys(flags).filter((name) => flags[name]?.type !== 'boolean'))
    .strictOptions()
    .version(false)
    .wrap(Math.min(110, process.stdout.columns ?? 110))
    .fail((message, error) => {
      throw error && error.name !== 'YError' ? error : new OrtuneError('OPTION', `${message}. See --help.`);
    });
  const parser =
    positionals === 'some'
      ? base.demandCommand(1, 'expected at least one file, folder or pattern')
      : base.demandCommand(0, 0, undefined, 'expected only --flags, received other words too');
  const args: Record<string, unknown> = await parser.parseAsync();
  const values: Record<string, unknown> = { _: args['_'] };
  for (const [name, flag] of Object.entries(flags)) {
    checkValue(name, flag, args[name]);
    values[name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())] = args[name];
  }
  return values;
}

/** What yargs lets pass: a flag with an empty value, given twice, or negated though it is no switch. */
function checkValue(name: string, { type, array, choices }: FlagOptions, value: unknown): void {
  if (value === undefined || type === 'boolean') return;
  const values = array && Array.isArray(value) ? value : [value];
  for (const one of values) {
    const fits =
      type === 'number' ? typeof one === 'number' && !Number.isNaN(one) : typeof one === 'string' && one !== '';
    if (fits) continue;
    const expected = choices ? `one of ${choices.join(', ')}` : type === 'number' ? 'a number' : 'a value';
    const received = Array.isArray(one) ? `several: ${one.join(', ')}` : one === '' ? 'none' : String(one);
    throw new OrtuneError('OPTION', `--${name}: expected ${expected}, received ${received}. See --help.`);
  }
}

/** Errors of the system (no permission, no such file) name their path; any other that is not ours is a defect. */
function isForPeople(error: unknown): error is Error {
  return error instanceof OrtuneError || error instanceof Interrupted || isSystemError(error);
}
