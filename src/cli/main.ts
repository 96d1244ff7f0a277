import { nearest } from '../recipes/nearest.ts';
import { VERSION } from '../version.ts';
import { type Command, run } from './run.ts';

interface Entry {
  /** What it does, on one line. */
  readonly about: string;
  start(): Promise<void>;
}

/** A command whose modules are loaded only when it is asked for: together they take seconds. */
function entry<Options>(about: string, load: () => Promise<Command<Options>>): Entry {
  return { about, start: async () => run(await load()) };
}

/** `scripts/ortune.mjs` starts these two itself. */
const PLAIN = {
  setup: { about: 'Make ortune ready: native addon, training library, oneDNN' },
  doctor: { about: 'Tell what works on this machine, and why what does not' },
};

const COMMANDS: Readonly<Record<string, Entry>> = {
  fit: entry(
    'From pictures to a model that can be served: everything below that it takes',
    async () => (await import('./fit.ts')).fitCommand,
  ),
  predict: entry('Tell what is on pictures', async () => (await import('./predict.ts')).predictCommand),
  serve: entry('Serve a model by HTTP, with a page to try it', async () => (await import('./serve.ts')).serveCommand),
  evaluate: entry(
    'Tell how good a model is on pictures whose classes are known',
    async () => (await import('./evaluate.ts')).evaluateCommand,
  ),
  report: entry(
    'Make a page of a result that opens in any browser',
    async () => (await import('./report.ts')).reportCommand,
  ),
  export: entry(
    'Write a model in a smaller form, and tell what that costs',
    async () => (await import('./export.ts')).exportCommand,
  ),
  'check-data': entry(
    'Look pictures through before they are trained on',
    async () => (await import('./check-data.ts')).checkDataCommand,
  ),
  download: entry(
    'Fetch public data sets and pretrained weights',
    async () => (await import('./download.ts')).downloadCommand,
  ),
  'build-graph': entry(
    'Build a ResNet as an ONNX graph',
    async () => (await import('./build-graph.ts')).buildGraphCommand,
  ),
  pretrain: entry(
    'Stage one: train a new head on pretrained weights',
    async () => (await import('./pretrain.ts')).pretrainCommand,
  ),
  finetune: entry(
    'Stage two: train the whole network, write the model to be served',
    async () => (await import('./finetune.ts')).finetuneCommand,
  ),
  'find-rate': entry('Suggest a learning rate', async () => (await import('./find-rate.ts')).findRateCommand),
  preview: entry(
    'Draw training pictures as augmentation makes them',
    async () => (await import('./preview.ts')).previewCommand,
  ),
  inspect: entry(
    'Tell what is in a model or checkpoint, or what differs between two',
    async () => (await import('./inspect.ts')).inspectCommand,
  ),
};

/**
 * The executable without `setup` and `doctor`: runs the command of that name on the words in `process.argv`, or, without a
 * name, answers `--help` and `--version`. Sets the exit code.
 */
export async function main(name: string | undefined): Promise<void> {
  if (name !== undefined && Object.hasOwn(COMMANDS, name)) return COMMANDS[name]?.start();
  if (name === undefined && process.argv.includes('--version')) return console.log(VERSION);
  if (name === undefined && process.argv.slice(2).every((word) => word === '--help')) return console.log(help());
  const known = [...Object.keys(PLAIN), ...Object.keys(COMMANDS)];
  const meant = name === undefined ? undefined : nearest(name, known);
  const hint = meant === undefined ? '' : ` Did you mean ${meant}?`;
  console.error(`Error: expected a command, received ${name ?? process.argv[2]}.${hint} See npx ortune --help.`);
  process.exitCode = 1;
}

function help(): string {
  const lines = Object.entries({ ...COMMANDS, ...PLAIN }).map(([name, { about }]) => `  ${name.padEnd(12)} ${about}`);
  return [
    'npx ortune COMMAND [flags]',
    '',
    'Fine-tunes image classifiers: a folder of pictures in, an ONNX model out.',
    '',
    ...lines,
    '',
    'npx ortune COMMAND --help tells the flags of one, npx ortune --version the version.',
  ].join('\n');
}
