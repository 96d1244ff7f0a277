import { join } from 'node:path';
import {
  ADAM_DEFAULTS,
  buildArtifacts,
  headOnly,
  type InputNormalisationName,
  type Model,
  RESNET_DEFAULTS,
  type ResNetOptions,
  wholeNetwork,
} from '../../onnx/index.ts';
import { type BuiltGraph, buildGraph } from '../build-graph.ts';
import { OrtuneError } from '../errors.ts';
import { loadRecipe } from '../recipes/index.ts';
import { PRETRAIN_DEFAULTS } from '../training/options.ts';
import { writeFiles } from '../write-files.ts';
import type { Command } from './run.ts';
import { settingFlag } from './setting-flag.ts';
import { given } from './stage-flags.ts';

interface Options {
  recipe: string | undefined;
  depth: number | undefined;
  width: number | undefined;
  strideIn: '3x3' | '1x1' | undefined;
  classes: number;
  imageSize: number | undefined;
  inputNorm: InputNormalisationName | undefined;
  dropout: number | undefined;
  seed: number;
  out: string;
  artifacts: string | undefined;
  stage: 'one' | 'two' | undefined;
  bn: 'live' | 'affine' | 'frozen' | undefined;
}

const setting = (name: Parameters<typeof settingFlag<'network'>>[1]) => settingFlag('network', name, RESNET_DEFAULTS);

export const buildGraphCommand: Command<Options> = {
  usage: 'npx ortune build-graph [flags]\n\nBuilds a ResNet as an ONNX graph with named initializers.',
  flags: {
    recipe: {
      type: 'string',
      describe: 'tutorial, recommended or a YAML file; flags go before what it says of the network',
    },
    depth: setting('depth'),
    width: setting('width'),
    'stride-in': setting('strideIn'),
    classes: { type: 'number', default: RESNET_DEFAULTS.classes, describe: 'Classes of the head' },
    'image-size': setting('imageSize'),
    'input-norm': setting('inputNorm'),
    dropout: setting('dropout'),
    seed: { type: 'number', default: RESNET_DEFAULTS.seed, describe: 'Seed of the first values' },
    out: { type: 'string', default: PRETRAIN_DEFAULTS.graph, describe: 'File to write' },
    artifacts: { type: 'string', describe: "Folder for a stage's training artifacts too" },
    stage: { choices: ['one', 'two'] as const, describe: 'Stage of the artifacts: the head, or the whole network' },
    bn: {
      choices: ['live', 'affine', 'frozen'] as const,
      describe: 'BatchNorm of the artifacts; frozen in stage one, live in two',
    },
  },
  handle: async (args) => {
    if ((args.artifacts === undefined) !== (args.stage === undefined)) {
      throw new OrtuneError(
        'OPTION',
        'expected --artifacts DIR and --stage one|two together, received only one of them.',
      );
    }
    if (args.bn !== undefined && args.artifacts === undefined) {
      throw new OrtuneError('OPTION', '--bn: expected with --artifacts only; the graph itself does not depend on it.');
    }
    const { depth, width, strideIn, classes, imageSize, inputNorm, dropout, seed } = args;
    const planned = args.recipe === undefined ? {} : (await loadRecipe(args.recipe)).network;
    const asked = given({
      depth: depth as ResNetOptions['depth'] | undefined,
      width,
      strideIn,
      imageSize,
      inputNorm,
      dropout,
    });
    const { model, ...built } = await buildGraph({ ...planned, ...asked, classes, seed, out: args.out });
    console.log(describe(built));
    if (args.artifacts !== undefined) {
      await writeFiles(args.artifacts, artifactFiles(model, args));
      console.log(`Training artifacts of stage ${args.stage}: ${args.artifacts}`);
    }
  },
};

function artifactFiles(model: Model, { stage, bn, artifacts }: Options): Record<string, Uint8Array> {
  const plan =
    stage === 'one' ? headOnly(bn ?? 'frozen', ADAM_DEFAULTS) : wholeNetwork(model, bn ?? 'live', ADAM_DEFAULTS);
  const { trainingModel, evalModel, optimizerModel, checkpoint } = buildArtifacts(model, plan);
  const file = (name: string) => join(artifacts as string, name);
  return {
    [file('training_model.onnx')]: trainingModel,
    [file('eval_model.onnx')]: evalModel,
    [file('optimizer_model.onnx')]: optimizerModel,
    [file('checkpoint')]: checkpoint,
  };
}

function describe({ file, bytes, summary }: Omit<BuiltGraph, 'model'>): string {
  const { layers, parameters, statistics, multiplyAdds } = summary;
  const count = (value: number) => value.toLocaleString('en-US');
  return [
    `Layers: ${layers.convolutions} convolutions, ${layers.batchNorms} BatchNorms, ${layers.linear} fully connected`,
    `Parameters: ${count(parameters)} (and ${count(statistics)} running statistics)`,
    `Multiply-adds: ${count(multiplyAdds)} per picture`,
    `Bytes: ${count(bytes)}`,
    `Saved: ${file}`,
  ].join('\n');
}
