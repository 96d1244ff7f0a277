import { type InputNormalisationName, RESNET_DEFAULTS } from '../../onnx/index.ts';
import { OrtuneError } from '../errors.ts';
import { FIT_DEFAULTS, type FitResult, fit } from '../fit/index.ts';
import { formatEvaluation } from '../metrics/index.ts';
import { CUDA_FLAGS, type CudaArguments, cudaOptions } from './cuda-flags.ts';
import type { Command } from './run.ts';
import { settingFlag } from './setting-flag.ts';
import { runStage } from './stage.ts';
import { given, REPORT_FLAGS, type ReportArguments, reportOptions } from './stage-flags.ts';
import { checkWhole } from './whole.ts';

interface Options extends CudaArguments, ReportArguments {
  weights: string | undefined;
  recipe: string;
  passes: number | undefined;
  imageSize: number | undefined;
  inputNorm: InputNormalisationName | undefined;
  strideIn: '3x3' | '1x1' | undefined;
  split: string | undefined;
  onBadImage: 'stop' | 'skip';
  seed: number;
  device: 'auto' | 'cpu' | 'cuda';
  threads: number | undefined;
  kernels: 'native' | 'stock' | undefined;
  out: string;
}

export const fitCommand: Command<Options> = {
  usage:
    'npx ortune fit DIR\n\nFrom pictures to a model: looks them over, trains in two stages by the recipe, tests, and writes the model to be ' +
    'served with a report. check-data, build-graph, pretrain and finetune are its parts, with more flags each.',
  positionals: 'some',
  flags: {
    weights: {
      type: 'string',
      describe: "Pretrained weights, or 'none'; torchvision's ResNet50, fetched once, by default",
    },
    recipe: { type: 'string', default: FIT_DEFAULTS.recipe, describe: 'tutorial, recommended or a YAML file' },
    passes: { type: 'number', describe: 'Passes of stage two; the fewer, the more pictures there are, by default' },
    'image-size': {
      type: 'number',
      describe:
        "Side of the network's input, a multiple of 32; by default 128 on a CPU, 224 on a GPU, less for small pictures",
    },
    'input-norm': settingFlag('network', 'inputNorm', RESNET_DEFAULTS),
    'stride-in': settingFlag('network', 'strideIn', RESNET_DEFAULTS),
    split: { type: 'string', describe: "As for pretrain; the data set's own by default" },
    'on-bad-image': {
      choices: ['stop', 'skip'] as const,
      default: FIT_DEFAULTS.onBadImage,
      describe: 'What to do about pictures that cannot be decoded',
    },
    seed: { type: 'number', default: FIT_DEFAULTS.seed, describe: 'Seed of order, crops and split' },
    device: { choices: ['auto', 'cpu', 'cuda'] as const, default: FIT_DEFAULTS.device, describe: 'Where to train' },
    ...CUDA_FLAGS,
    threads: { type: 'number', describe: 'Threads of a step; all there are by default' },
    kernels: {
      choices: ['native', 'stock'] as const,
      defaultDescription: 'native on the CPU',
      describe: "Training's kernels: ortune's own on oneDNN, or ONNX Runtime's",
    },
    out: {
      type: 'string',
      default: FIT_DEFAULTS.out,
      describe: 'Folder for graph.onnx, pretrain_model and infer_model',
    },
    ...REPORT_FLAGS,
  },
  handle: async (args) => {
    const [data, ...more] = args._;
    if (data === undefined || more.length > 0) {
      throw new OrtuneError('OPTION', `expected one folder of pictures, received ${args._.length}. See --help.`);
    }
    const { recipe, onBadImage, seed, device, out } = args;
    const { weights, passes, imageSize, inputNorm, strideIn, split, threads, kernels } = args;
    checkWhole({ passes, threads }, 1);
    const report = await reportOptions(args, data);
    let result: FitResult | undefined;
    await runStage(report, async (hooks) => {
      result = await fit({
        ...{ data, recipe, onBadImage, seed, device, out },
        ...given({ weights, passes, imageSize, inputNorm, strideIn, split, threads, kernels }),
        ...cudaOptions(args),
        ...hooks,
      });
    });
    const { evaluation, folder } = result!;
    if (report.output !== 'text') return;
    if (evaluation) console.log(`\n${formatEvaluation(evaluation)}`);
    console.log(`\nReport: ${folder}/report.html\nTry it: npx ortune predict PICTURE, or npx ortune serve`);
  },
};
