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
  /** Seed of the first values. */
  readonly seed: number;
}

/** Blocks of each stage by depth (He et al., "Deep residual learning for image recognition", CVPR 2016, table 1). */
export const RESNET_BLOCKS = { 50: [3, 4, 6, 3] } as const;
export type ResNetDepth = keyof typeof RESNET_BLOCKS;

export const RESNET_DEFAULTS: ResNetOptions = {
  depth: 50,
  width: 1,
  strideIn: '3x3',
  classes: 102,
  imageSize: 224,
  inputNorm: 'imagenet',
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
const EXPANSION = 4;

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

  let inChannels = STEM_CHANNELS;
  for (const [stage, blocks] of RESNET_BLOCKS[settings.depth].entries()) {
    const inner = Math.round(STEM_CHANNELS * width) * 2 ** stage;
    for (let block = 0; block < blocks; block++) {
      const name = `${stage + 2}${String.fromCharCode(97 + block)}`;
      const stride = block === 0 && stage > 0 ? 2 : 1;
      map = bottleneck(layers, map, name, {
        inner,
        stride,
        strideIn,
        project: stride > 1 || inChannels !== inner * EXPANSION,
      });
      inChannels = inner * EXPANSION;
    }
  }

  const features = layers.globalAveragePool(map, 'pool5', FEATURES);
  const logits = layers.linear(features, 'fc_0', LOGITS, settings.classes);
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

interface Block {
  readonly inner: number;
  readonly stride: number;
  readonly strideIn: '3x3' | '1x1';
  /** Whether the shortcut is a convolution, as it is wherever channels or size change. */
  readonly project: boolean;
}

function bottleneck(layers: Layers, input: string, name: string, block: Block): string {
  const { inner, stride, strideIn } = block;
  const branch = (from: string, suffix: string, channels: number, kernel: number, step: number) =>
    layers.batchNorm(layers.convolution(from, `res${name}_${suffix}`, channels, kernel, step), `bn${name}_${suffix}`);

  let map = branch(input, 'branch2a', inner, 1, strideIn === '1x1' ? stride : 1);
  map = layers.relu(map, `res${name}_branch2a_relu`);
  map = branch(map, 'branch2b', inner, 3, strideIn === '3x3' ? stride : 1);
  map = layers.relu(map, `res${name}_branch2b_relu`);
  map = branch(map, 'branch2c', inner * EXPANSION, 1, 1);
  const shortcut = block.project ? branch(input, 'branch1', inner * EXPANSION, 1, stride) : input;
  return layers.relu(layers.add(map, shortcut, `res${name}`), `res${name}_relu`);
}

/** The options that a model built by {@link buildResNet} was made from, or `undefined` for any other model. */
export function networkOf(model: Model): ResNetOptions | undefined {
  const text = model.metadata.get('ortune.network');
  return text === undefined ? undefined : (JSON.parse(text) as ResNetOptions);
}

function check(options: ResNetOptions): void {
  const fail = (option: string, expected: string, received: unknown): never => {
    throw new OrtuneError('GRAPH_OPTION', `${option}: expected ${expected}, received ${String(received)}`);
  };
  const oneOf = (option: string, values: readonly (string | number)[], received: string | number) => {
    if (!values.includes(received)) fail(option, `one of ${values.join(', ')}`, received);
  };
  oneOf('depth', Object.keys(RESNET_BLOCKS).map(Number), options.depth);
  oneOf('stride-in', ['3x3', '1x1'], options.strideIn);
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
  if (!Number.isSafeInteger(options.seed)) fail('seed', 'a whole number', options.seed);
}
