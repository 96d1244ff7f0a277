import { OrtuneError } from '../errors.ts';
import {
  describeFile,
  diffPaths,
  type FileDescription,
  formatDiff,
  formatFile,
  formatTensors,
  type HeldTensor,
  isParameter,
  mainTensors,
  type OpenPath,
  openPath,
} from '../inspect/index.ts';
import { globToRegExp } from '../weights/mapping.ts';
import type { Command } from './run.ts';

interface Options {
  diff: string | undefined;
  filter: string | undefined;
  verbose: boolean;
  json: boolean;
}

export const inspectCommand: Command<Options> = {
  usage:
    'npm run inspect -- FILE|FOLDER\n\nTells what is in a model or checkpoint, or in a folder of them: inputs, outputs, operators, ' +
    'parameters with what is trained and what is frozen. Exits with 0 whether or not --diff finds differences.',
  positionals: 'some',
  flags: {
    diff: { type: 'string', describe: 'File or folder to compare with: what is different in it' },
    filter: { type: 'string', describe: "Only tensors of these names, as 'res5*'" },
    verbose: {
      type: 'boolean',
      default: false,
      describe: 'List constants, optimizer state and gradient buffers too; with --diff all changed tensors',
    },
    json: { type: 'boolean', default: false, describe: 'One JSON object, with all tensors' },
  },
  handle: async ({ _: paths, diff, filter, verbose, json }) => {
    const [path, ...more] = paths;
    if (path === undefined || more.length > 0) {
      throw new OrtuneError('OPTION', `expected one file or folder, received ${paths.length}. To compare two: --diff.`);
    }
    const first = await openPath(path);
    const matches = nameFilter(filter, first);
    if (diff !== undefined) {
      const found = await diffPaths(first, await openPath(diff), matches);
      console.log(json ? JSON.stringify(found) : formatDiff(found, verbose));
      return;
    }
    const listed = (tensor: HeldTensor) =>
      matches(tensor) && (json || verbose || filter !== undefined || isParameter(tensor));
    const files: FileDescription[] = [];
    for (const file of first.files) files.push(await describeFile(file, listed));
    if (json) {
      console.log(JSON.stringify({ path, files }));
      return;
    }
    const tensors = mainTensors(files);
    const blocks = [...files.map(formatFile), ...(tensors.length > 0 ? [formatTensors(tensors)] : [])];
    console.log(blocks.join('\n\n'));
  },
};

function nameFilter(filter: string | undefined, { path, files }: OpenPath): (tensor: HeldTensor) => boolean {
  if (filter === undefined) return () => true;
  const pattern = globToRegExp(filter);
  const names = files.flatMap(({ tensors }) => tensors.map(({ name }) => name));
  if (!names.some((name) => pattern.test(name))) {
    const some = names.slice(0, 5).join(', ');
    throw new OrtuneError(
      'OPTION',
      `--filter ${filter}: expected to match a name of the ${names.length} tensors in ${path}, but none does${some && `; the first are ${some}`}.`,
    );
  }
  return ({ name }) => pattern.test(name);
}
