/**
 * What a recipe may say: the one place that knows each setting's name, type, range and meaning, for files, and for
 * whatever else sets them. Names are those of the library's options.
 */
import { z } from 'zod';
import { INPUT_NORMALISATIONS } from '../../onnx/index.ts';
import { BATCH_NORM_MODES } from '../training/batch-norm.ts';
import { MEMORY_LIMIT, MEMORY_LIMIT_EXPECTED } from '../training/memory-limit.ts';
import { choice, flag, list, number, pattern, section, text, whole } from './fields.ts';

const mode = choice(...BATCH_NORM_MODES);

const batchNorm = z
  .union([mode, z.record(pattern(), mode)], {
    error: `one of ${BATCH_NORM_MODES.join(', ')}, or one for each pattern, such as {'bn5*': live, '*': frozen}`,
  })
  .describe("BatchNorm: on the batch's statistics, on its running ones with scale and offset trained, or frozen");

const shape = z.discriminatedUnion(
  'kind',
  [
    section({ kind: choice('constant'), ...warmUp() }),
    section({
      kind: choice('step'),
      milestones: list(number({ above: 0, below: 1 }), 'a list of shares of the run', 1).describe('Where it steps'),
      factor: number({ above: 0 }).describe('What a step multiplies the rate by'),
      ...warmUp(),
    }),
    section({
      kind: choice('cosine'),
      floor: number({ from: 0, to: 1 }).exactOptional().describe('Share of the rate at the end'),
      ...warmUp(),
    }),
    section({
      kind: choice('one-cycle'),
      pctStart: number({ from: 0, to: 1 }).exactOptional().describe('Share of the run in which the rate rises'),
      divFactor: number({ from: 1 }).exactOptional().describe('What the first rate is the peak divided by'),
      finalDivFactor: number({ above: 0 }).exactOptional().describe('What the last rate is the first divided by'),
      ...warmUp(),
    }),
  ],
  {
    error: (issue) =>
      // Its type knows of one code only.
      (issue.code as string) === 'invalid_type'
        ? 'a schedule, such as {kind: cosine}'
        : 'one of constant, step, cosine, one-cycle',
  },
);

function warmUp() {
  return {
    warmUp: number({ from: 0, below: 1 }).exactOptional().describe('Share of the run in which the rate rises first'),
    warmUpFrom: number({ from: 0, to: 1 }).exactOptional().describe('Share of the rate that this starts at'),
  };
}

/** What `Side` says. */
function side() {
  const share = z.templateLiteral([z.number(), '%']);
  return z.union([whole({ from: 32 }), share], {
    error: "pixels from 32 up, or a share of the network's size, such as 125%",
  });
}

const range = (least: number, most: number) => {
  const expected = 'a least and a greatest value, such as [0.5, 1]';
  const one = number({ above: least, to: most });
  return z
    .tuple([one, one], { error: expected })
    .refine(([from, to]) => from <= to, { error: `${expected}, the least first` });
};

const augment = z
  .union(
    [
      flag(),
      section({
        crop: z
          .union(
            [
              choice('resize-crop'),
              section({
                scale: range(0, 1).exactOptional().describe("Share of the picture's area"),
                ratio: range(0, 100).exactOptional().describe('Width / height'),
              }),
            ],
            { error: 'resize-crop, or scale and ratio of a random part' },
          )
          .exactOptional(),
        flip: number({ from: 0, to: 1 }).exactOptional().describe('Probability of mirroring'),
        colourJitter: section({
          brightness: number({ from: 0 }).exactOptional().describe('Greatest change of the factor'),
          contrast: number({ from: 0 }).exactOptional().describe('Greatest change of the factor'),
          saturation: number({ from: 0 }).exactOptional().describe('Greatest change of the factor'),
          hue: number({ from: 0, to: 0.5 }).exactOptional().describe('Greatest change, in turns'),
        }).exactOptional(),
        policy: choice('none', 'trivial', 'rand').exactOptional().describe('TrivialAugment or RandAugment'),
        erasing: number({ from: 0, to: 1 }).exactOptional().describe('Probability of painting a rectangle over'),
        mixup: number({ from: 0 }).exactOptional().describe('Alpha of mixup; 0: none'),
        cutmix: number({ from: 0 }).exactOptional().describe('Alpha of CutMix; 0: none'),
      }),
    ],
    { error: 'true (crop and flip), false, or settings such as {flip: 0.5}' },
  )
  .describe('What is done to training pictures at random');

/** What both stages have. A setting that is left out has the stage's default. */
const stage = {
  passes: whole({ from: 1 }).exactOptional().describe('Times that each training picture is seen'),
  batchSize: whole({ from: 1 }).exactOptional().describe('Pictures of one step'),
  learningRate: number({ above: 0 }).exactOptional().describe("Learning rate of the head, at the schedule's peak"),
  schedule: shape.exactOptional().describe('How the rate moves over the run'),
  batchNorm: batchNorm.exactOptional(),
  labelSmoothing: number({ from: 0, below: 1 })
    .exactOptional()
    .describe('Share of each label that is spread over the classes'),
  augment: augment.exactOptional(),
  shuffle: flag().exactOptional().describe('A new random order in each pass; else that of the data set'),
  test: z
    .union([flag(), choice('end')], { error: 'true, false, or end' })
    .exactOptional()
    .describe('Whether each pass is followed by a test; end: only the result is tested'),
  watch: choice('test', 'valid')
    .exactOptional()
    .describe('Part that passes are tested on and compared by; the result is tested on the test part in any case'),
  testSize: side().exactOptional().describe("Side of the test's square"),
  testResize: side().exactOptional().describe('Length of the short side that it is cut from'),
  testFlip: flag().exactOptional().describe('Test by the mean over a picture and its mirror image'),
  testMean: choice('pictures', 'batches')
    .exactOptional()
    .describe('`batches` also gives the mean over batches, however small the last'),
  earlyStopping: section({
    patience: whole({ from: 1 }).describe('Passes in a row without a gain'),
    minimumGain: number({ from: 0 }).exactOptional().describe('What counts as one'),
  }).exactOptional(),
  keep: choice('last', 'best')
    .exactOptional()
    .describe('Pass that the result is: the last, or the one that tested best'),
  keepTop: whole({ from: 0 })
    .exactOptional()
    .describe('So many of the passes that tested best become results of their own, in <out>.top'),
  memoryLimit: z
    .string({ error: MEMORY_LIMIT_EXPECTED })
    .regex(MEMORY_LIMIT, { error: MEMORY_LIMIT_EXPECTED })
    .exactOptional()
    .describe("Memory that training may take, as 4GiB, or none; the container's limit by default"),
  metric: choice('top1', 'meanPerClass', 'cost').exactOptional().describe('By which passes are compared'),
  onNan: choice('stop', 'rollback')
    .exactOptional()
    .describe(
      'What to do about a loss that is no number: rollback goes back to the last record of the run, and on at a tenth of the rate',
    ),
};

const weightDecay = number({ from: 0 })
  .exactOptional()
  .describe('Pull of weights towards zero (adamw, sgd); BatchNorm and bias are left alone');

const pretrain = section({
  ...stage,
  optimizer: choice('adam', 'lbfgs')
    .exactOptional()
    .describe('lbfgs solves for the best head on the frozen features, its regularisation chosen on pictures held out'),
  allowMissing: list(pattern(), 'a list of patterns')
    .exactOptional()
    .describe("Parameters that the weights may lack, such as 'res5*'"),
  savePaddle: flag().exactOptional().describe('Also write a file for each variable, as PaddlePaddle does'),
});

const finetune = section({
  ...stage,
  train: list(pattern(), "a list of patterns, such as ['fc_*', 'res5*']", 1)
    .exactOptional()
    .describe("What is trained, by name: 'fc_*' 'res5*' 'bn5*'"),
  optimizer: choice('adam', 'adamw', 'sgd').exactOptional().describe('How the parameters follow their gradients'),
  weightDecay,
  momentum: number({ from: 0, below: 1 }).exactOptional().describe("SGD's momentum"),
  nesterov: flag().exactOptional().describe("Nesterov's form of it"),
  clipNorm: number({ from: 0 }).exactOptional().describe('Largest norm of a gradient; 0: none'),
  accumulate: whole({ from: 1 }).exactOptional().describe('Batches of one update'),
  classWeights: choice('none', 'balanced')
    .exactOptional()
    .describe('balanced: each class counts the same in the loss, however few its pictures'),
  backboneRate: number({ from: 0 }).exactOptional().describe('Factor on the learning rate of all but the head'),
  layerDecay: number({ above: 0, to: 1 })
    .exactOptional()
    .describe('Factor on the learning rate from each block to the one before it'),
  precision: choice('fp32', 'fp16', 'bf16')
    .exactOptional()
    .describe('fp16: convolutions in half precision, on a GPU; bf16: bfloat16 between the layers, on the CPU'),
  ema: section({
    decay: number({ from: 0, below: 1 }).describe('Share of the average that an update keeps'),
    warmUp: flag().exactOptional().describe('Whether the decay grows to that'),
  }).exactOptional(),
});

/** The settings of each stage. */
export const stageSchemas = { pretrain, finetune } as const;

export const networkSchema = section({
  depth: z
    .literal([18, 34, 50, 101, 152], { error: 'one of 18, 34, 50, 101, 152' })
    .exactOptional()
    .describe('Weighted layers'),
  width: number({ above: 0 }).exactOptional().describe('Factor on the channels of the four stages'),
  strideIn: choice('3x3', '1x1')
    .exactOptional()
    .describe('Convolution that halves the map: 3x3 is torchvision, 1x1 Caffe and MSRA'),
  imageSize: whole({ from: 32 })
    .multipleOf(32, { error: 'a multiple of 32' })
    .exactOptional()
    .describe('Side of the input in pixels, a multiple of 32'),
  inputNorm: choice(...(Object.keys(INPUT_NORMALISATIONS) as [keyof typeof INPUT_NORMALISATIONS]))
    .exactOptional()
    .describe('Pixels as the pretrained weights expect them'),
  dropout: number({ from: 0, below: 1 })
    .exactOptional()
    .describe('Share of the features that the head does without in each training step'),
});

export const recipeSchema = section({
  name: text().exactOptional().describe("How it is called; the file's name by default"),
  description: text().exactOptional(),
  network: networkSchema.exactOptional().describe('What npx ortune build-graph builds'),
  split: text().exactOptional().describe("tutorial, official, ratio:R ...; the data set's own by default"),
  pretrain: pretrain.exactOptional().describe('Stage one: the head'),
  finetune: finetune.exactOptional().describe('Stage two: the network, or parts of it'),
});

/** The two stages as data. What is left out has the stage's default. */
export type Recipe = z.infer<typeof recipeSchema> & { readonly name: string };
export type PretrainRecipe = z.infer<typeof pretrain>;
export type FinetuneRecipe = z.infer<typeof finetune>;
