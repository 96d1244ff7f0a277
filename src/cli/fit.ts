import { type InputNormalisationName, RESNET_DEFAULTS } from '../../onnx/index.ts';
import { OrtuneError } from '../errors.ts';
import { FIT_DEFAULTS, type FitResult, fit } from '../fit/index.ts';
import { formatEvaluation } from '../metrics/index.ts';
import { cudaOptions } from './cuda-flags.ts';
import type { Command } from './run.ts';
import { settingFlag } from './setting-flag.ts';
import { runStage } from './stage.ts';
import {
  given,
  REPORT_FLAGS,
  type ReportArguments,
  RUN_FLAGS,
  type RunArguments,
  reportOptions,
} from './stage-flags.ts';
import { checkWhole } from './whole.ts';

interface Options extends RunArguments, ReportArguments {
  weights: string | undefined;
  recipe: string;
  passes: number | undefined;
  imageSize: number | undefined;
  inputNorm: InputNormalisationName | undefined;
  strideIn: '3x3' | '1x1' | undefined;
  split: string | undefined;
  resume: boolean;
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
    ...RUN_FLAGS,
    out: {
      type: 'string',
      default: FIT_DEFAULTS.out,
      describe: 'Folder for graph.onnx, pretrain_model and infer_model',
    },
    resume: {
      type: 'boolean',
      default: false,
      describe: 'Go on with a run that was interrupted, given the same flags',
    },
    ...REPORT_FLAGS,
  },
  handle: async (args) => {
    const [data, ...more] = args._;
    if (data === undefined || more.length > 0) {
      throw new OrtuneError('OPTION', `expected one folder of pictures, received ${args._.length}. See --help.`);
    }
    const { recipe, resume, out, weights, passes, imageSize, inputNorm, strideIn, split } = args;
    const { onBadImage, onNan, seed, device, threads, kernels, memoryLimit } = args;
    checkWhole({ passes, threads }, 1);
    const report = await reportOptions(args, data);
    let result: FitResult | undefined;
    await runStage(report, async (hooks) => {
      result = await fit({
        ...{ data, recipe, resume, out },
        ...given({ weights, passes, imageSize, inputNorm, strideIn, split }),
        ...given({ onBadImage, onNan, seed, device, threads, kernels, memoryLimit }),
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
