import yargs, { type Argv } from 'yargs';
import { hideBin } from 'yargs/helpers';
import { OrtuneError } from '../errors.ts';
import { Interrupted } from './stage.ts';

export interface Command<Options> {
  /** First line of the help text. */
  readonly usage: string;
  /** How many arguments beside the flags it takes. */
  readonly positionals?: 'none' | 'some';
  flags(parser: Argv): Argv<Options>;
  handle(args: Options & { _: (string | number)[] }): Promise<void>;
}

/**
 * Runs a command as a program: parses the arguments strictly, prints errors that are meant for people without a stack,
 * and exits with 1 when something went wrong.
 */
export async function run<Options>(command: Command<Options>): Promise<void> {
  // A reader that has seen enough (`| head`) closes the pipe: no error of ours.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit();
    throw error;
  });
  try {
    const base = yargs(hideBin(process.argv))
      .scriptName('')
      .usage(command.usage)
      .strictOptions()
      .version(false)
      .wrap(Math.min(110, process.stdout.columns ?? 110))
      .fail((message, error) => {
        throw error ?? new OrtuneError('OPTION', `${message}. See --help.`);
      });
    const parser =
      command.positionals === 'some'
        ? base.demandCommand(1, 'expected at least one file, folder or pattern')
        : base.demandCommand(0, 0, undefined, 'expected only --flags, received other words too');
    await command.handle((await command.flags(parser).parseAsync()) as Options & { _: (string | number)[] });
  } catch (error) {
    const forPeople = error instanceof OrtuneError || error instanceof Interrupted;
    console.error(forPeople ? `Error: ${error.message}` : error);
    process.exitCode = error instanceof Interrupted ? 130 : 1;
  }
}
