import { OrtuneError } from '../src/errors.ts';
import { GraphBuilder, int, tensor } from './graph.ts';
import { seededInitialisation } from './initialise.ts';
import { type Initialise, Layers } from './layers.ts';
import { type Model, OPSET } from './model.ts';
import { addNormalisation, INPUT_NORMALISATIONS, type InputNormalisationName } from './preprocess.ts';

/** What a residual network is made from. */
export interface ResNetOptions {
  /** Number of weighted layers. */
  readonly depth: ResNetDepth;
  /** Factor on the inner and outer channels of the four stages; the stem keeps its 64. */
  readonly width: number;
  /**
   * Where the first block of a stage halves the map: `3x3` is torchvision's and the tutorial's ("v1.5"), `1x1` the
   * original paper's as MSRA published it for Caffe. With that goes Caffe's max-pooling, whose windows begin at the
   * map's edge and end past it, where the others pad all sides.
   */
  readonly strideIn: '3x3' | '1x1';
  readonly classes: number;
  /** Side of the square input, a multiple of 32. */
  readonly imageSize: number;
  readonly inputNorm: InputNormalisationName;
  /** Share of the features that the head does without in each training step, 0 to below 1. */
  readonly dropout: number;
  /** Seed of the first values. */
  readonly seed: number;
}

interface Architecture {
  /** Blocks of each stage. */
  readonly blocks: readonly [number, number, number, number];
  /** Two 3x3 convolutions, or 1x1, 3x3 and 1x1. */
  readonly block: 'basic' | 'bottleneck';
}

/** He et al., "Deep residual learning for image recognition", CVPR 2016, table 1. */
export const RESNETS = {
  18: { blocks: [2, 2, 2, 2], block: 'basic' },
  34: { blocks: [3, 4, 6, 3], block: 'basic' },
  50: { blocks: [3, 4, 6, 3], block: 'bottleneck' },
  101: { blocks: [3, 4, 23, 3], block: 'bottleneck' },
  152: { blocks: [3, 8, 36, 3], block: 'bottleneck' },
} as const satisfies Record<number, Architecture>;
export type ResNetDepth = keyof typeof RESNETS;

export const RESNET_DEFAULTS: ResNetOptions = {
  depth: 50,
  width: 1,
  strideIn: '3x3',
  classes: 102,
  imageSize: 224,
  inputNorm: 'imagenet',
  dropout: 0,
  seed: 0,
};

/** Names of the tensors that the rest of ortune reads and feeds. */
export const IMAGE = 'image';
export const FEATURES = 'features';
export const LOGITS = 'logits';
export const PROBABILITIES = 'probabilities';

/** The head's parameters: what a new set of classes replaces. */
export const HEAD_PARAMETERS = ['fc_0.w_0', 'fc_0.b_0'] as const;

const STEM_CHANNELS = 64;
/** How many times wider a block's output is than its inner channels. */
const EXPANSION = { basic: 1, bottleneck: 4 } as const;

/**
 * Builds a ResNet as an ONNX model: `image` uint8 [batch, H, W, 3] (RGB) in, `logits` and `probabilities`
 * float32 [batch, classes] out, every parameter an initializer under the tutorial's name.
 *
 * @param initialise gives the parameters' first values; seeded noise by default
 * @throws OrtuneError `GRAPH_OPTION` naming the option, what it takes and what came
 */
export function buildResNet(options: Partial<ResNetOptions> = {}, initialise?: Initialise): Model {
  const settings = { ...RESNET_DEFAULTS, ...options };
  check(settings);
  const { imageSize, strideIn, width } = settings;
  const graph = new GraphBuilder(`resnet${settings.depth}`);
  const layers = new Layers(graph, initialise ?? seededInitialisation(settings.seed));

  const image = graph.input(tensor(IMAGE, 'uint8', 'batch', imageSize, imageSize, 3));
  let map = addNormalisation(graph, image, INPUT_NORMALISATIONS[settings.inputNorm]);
  map = layers.convolution(map, 'conv1', STEM_CHANNELS, 7, 2);
  map = layers.relu(layers.batchNorm(map, 'bn_conv1'), 'conv1_relu');
  map = layers.maxPool(map, 'pool1', strideIn === '1x1' ? [0, 0, 1, 1] : [1, 1, 1, 1]);

  const { blocks, block: kind } = RESNETS[settings.depth];
  let inChannels = STEM_CHANNELS;
  for (const [stage, count] of blocks.entries()) {
    const inner = Math.round(STEM_CHANNELS * width) * 2 ** stage;
    const channels = inner * EXPANSION[kind];
    for (let index = 0; index < count; index++) {
      const stride = index === 0 && stage > 0 ? 2 : 1;
      map = residualBlock(layers, map, blockName(settings.depth, stage, index), {
        kind,
        inner,
        stride,
        strideIn,
        project: stride > 1 || inChannels !== channels,
      });
      inChannels = channels;
    }
  }

  const features = layers.globalAveragePool(map, 'pool5', FEATURES);
  const { dropout, seed } = settings;
  const kept = dropout > 0 ? layers.dropout(features, 'features_dropout', dropout, seed) : features;
  const logits = layers.linear(kept, 'fc_0', LOGITS, settings.classes);
  const probabilities = graph.add('Softmax', [logits], graph.like(PROBABILITIES, logits), {
    attributes: { axis: int(1) },
  });
  graph.output(logits);
  graph.output(probabilities);
  return {
    graph: graph.build(),
    opsets: new Map([['', OPSET]]),
    metadata: new Map([['ortune.network', JSON.stringify(settings)]]),
  };
}

/** PaddlePaddle's names: `2a`, `2b`, ... for a stage's blocks, but `4a`, `4b1`, `4b2`, ... where the letters would not do. */
function blockName(depth: ResNetDepth, stage: number, index: number): string {
  if (depth > 50 && stage === 2) return index === 0 ? '4a' : `4b${index}`;
  return `${stage + 2}${String.fromCharCode(97 + index)}`;
}

interface Block {
  readonly kind: Architecture['block'];
  readonly inner: number;
  readonly stride: number;
  readonly strideIn: '3x3' | '1x1';
  /** Whether the shortcut is a convolution, as it is wherever channels or size change. */
  readonly project: boolean;
}

function residualBlock(layers: Layers, input: string, name: string, block: Block): string {
  const { kind, inner, stride, strideIn, project } = block;
  const branch = (from: string, suffix: string, channels: number, kernel: number, step: number) =>
    layers.batchNorm(layers.convolution(from, `res${name}_${suffix}`, channels, kernel, step), `bn${name}_${suffix}`);
  const activated = (from: string, suffix: string, kernel: number, step: number) =>
    layers.relu(branch(from, suffix, inner, kernel, step), `res${name}_${suffix}_relu`);

  const channels = inner * EXPANSION[kind];
  let map: string;
  if (kind === 'basic') {
    map = branch(activated(input, 'branch2a', 3, stride), 'branch2b', channels, 3, 1);
  } else {
    map = activated(input, 'branch2a', 1, strideIn === '1x1' ? stride : 1);
    map = activated(map, 'branch2b', 3, strideIn === '3x3' ? stride : 1);
    map = branch(map, 'branch2c', channels, 1, 1);
  }
  const shortcut = project ? branch(input, 'branch1', channels, 1, stride) : input;
  return layers.relu(layers.add(map, shortcut, `res${name}`), `res${name}_relu`);
}

/**
 * The options that a model built by {@link buildResNet} was made from, or `undefined` for any other model.
 * @throws OrtuneError `ONNX_INVALID` when what the model says of them is damaged
 */
export function networkOf(model: Model): ResNetOptions | undefined {
  const text = model.metadata.get('ortune.network');
  if (text === undefined) return undefined;
  try {
    const options = JSON.parse(text);
    if (typeof options !== 'object' || options === null) throw new TypeError(`received ${text.slice(0, 100)}`);
    check({ ...RESNET_DEFAULTS, ...options });
    return options;
  } catch (error) {
    throw new OrtuneError(
      'ONNX_INVALID',
      `expected the network's options in the model's metadata (ortune.network): ${(error as Error).message}`,
      { cause: error },
    );
  }
}

function check(options: ResNetOptions): void {
  const fail = (option: string, expected: string, received: unknown): never => {
    throw new OrtuneError('GRAPH_OPTION', `${option}: expected ${expected}, received ${String(received)}`);
  };
  const oneOf = (option: string, values: readonly (string | number)[], received: string | number) => {
    if (!values.includes(received)) fail(option, `one of ${values.join(', ')}`, received);
  };
  oneOf('depth', Object.keys(RESNETS).map(Number), options.depth);
  oneOf('stride-in', ['3x3', '1x1'], options.strideIn);
  if (options.strideIn === '1x1' && RESNETS[options.depth].block === 'basic') {
    fail('stride-in', `3x3 at depth ${options.depth}, whose blocks have no 1x1 convolution`, options.strideIn);
  }
  oneOf('input-norm', Object.keys(INPUT_NORMALISATIONS), options.inputNorm);
  if (!(Math.round(STEM_CHANNELS * options.width) >= 1 && options.width <= 16)) {
    fail('width', 'a factor that leaves at least one channel and is at most 16', options.width);
  }
  if (!Number.isSafeInteger(options.classes) || options.classes < 2) {
    fail('classes', 'a whole number from 2 up', options.classes);
  }
  if (!Number.isSafeInteger(options.imageSize) || options.imageSize < 32 || options.imageSize % 32 !== 0) {
    fail('image-size', 'a multiple of 32 from 32 up', options.imageSize);
  }
  if (!(options.dropout >= 0 && options.dropout < 1)) fail('dropout', 'a number from 0 to below 1', options.dropout);
  if (!Number.isSafeInteger(options.seed)) fail('seed', 'a whole number', options.seed);
}
