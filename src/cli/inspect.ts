import { parseKernels } from '../../onnx/kernels.ts';
import { OrtuneError } from '../errors.ts';
import { globToRegExp } from '../glob.ts';
import {
  cudaCoverage,
  describeFile,
  diffPaths,
  type FileDescription,
  formatCoverage,
  formatDiff,
  formatFile,
  formatTensors,
  type HeldTensor,
  isParameter,
  mainTensors,
  type OpenPath,
  openPath,
} from '../inspect/index.ts';
import { locateCudaProvider, readCudaKernels } from '../runtime/cuda-kernels.ts';
import type { Command } from './run.ts';

interface Options {
  diff: string | undefined;
  filter: string | undefined;
  cuda: boolean;
  verbose: boolean;
  json: boolean;
}

export const inspectCommand: Command<Options> = {
  usage:
    'npx ortune inspect FILE|FOLDER\n\nTells what is in a model or checkpoint, or in a folder of them: inputs, outputs, operators, ' +
    'parameters with what is trained and what is frozen. Exits with 0 whether or not --diff finds differences.',
  positionals: 'some',
  flags: {
    diff: { type: 'string', describe: 'File or folder to compare with: what is different in it' },
    filter: { type: 'string', describe: "Only tensors of these names, as 'res5*'" },
    cuda: {
      type: 'boolean',
      default: false,
      describe:
        'Tell which nodes have a CUDA kernel, and which would run on the CPU and why. A file *.so after it is the ' +
        "CUDA provider's library to ask; by default the one beside the training library in use",
    },
    verbose: {
      type: 'boolean',
      default: false,
      describe:
        'List constants, optimizer state and gradient buffers too; with --diff all changed tensors, with --cuda all nodes',
    },
    json: { type: 'boolean', default: false, describe: 'One JSON object, with all tensors, or with --cuda all nodes' },
  },
  handle: async ({ _: words, diff, filter, cuda, verbose, json }) => {
    if (cuda && (diff ?? filter) !== undefined) {
      throw new OrtuneError('OPTION', `--cuda: expected without --${diff === undefined ? 'filter' : 'diff'}.`);
    }
    // A path after --cuda, which is a switch, comes among the others.
    const library = cuda ? words.find(isLibrary) : undefined;
    const [path, ...more] = words.filter((word) => word !== library);
    if (path === undefined || more.length > 0) {
      throw new OrtuneError(
        'OPTION',
        `expected one file or folder, received ${more.length + Number(path !== undefined)}. To compare two: --diff.`,
      );
    }
    if (cuda) {
      await tellCoverage(path, library ?? locateCudaProvider(), { verbose, json });
      return;
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

const isLibrary = (path: string) => /\.so(\.\d+)*$/.test(path);

async function tellCoverage(path: string, library: string, { verbose, json }: Pick<Options, 'verbose' | 'json'>) {
  const { files } = await openPath(path);
  const coverage = cudaCoverage(files, parseKernels(await readCudaKernels(library)));
  if (json) console.log(JSON.stringify({ path, library, files: coverage }));
  else console.log(coverage.map((model) => formatCoverage(model, verbose)).join('\n\n'));
}

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
