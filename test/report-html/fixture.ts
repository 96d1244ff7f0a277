import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { Evaluation, type EvaluationResult } from '../../src/metrics/index.ts';
import { Random } from '../../src/random.ts';

export interface FixtureOptions {
  readonly classes: readonly string[];
  /** Test pictures of a class. */
  readonly support?: number;
  readonly passes?: number;
  /** Steps of a pass, written to `steps.csv`. */
  readonly steps?: number;
  readonly tested?: boolean;
  readonly served?: boolean;
  readonly out?: string;
}

/** A result folder with drawn figures, and the folder of the pictures it names. */
export async function writeResult(folder: string, options: FixtureOptions): Promise<EvaluationResult> {
  const { classes, support = 10, passes = 6, steps = 0, tested = true, served = true } = options;
  const data = join(folder, 'pictures');
  await mkdir(join(folder, 'result'), { recursive: true });
  await mkdir(data, { recursive: true });
  const random = new Random(7, 'report');
  const evaluation = new Evaluation(classes);
  const pictures = classes.flatMap((_, label) =>
    Array.from({ length: support }, (_, index) => ({ label, name: `${label}-${index}.jpg` })),
  );
  for (const { label, name } of pictures) {
    const scores = Float32Array.from(classes, () => 3 * random.uniform());
    scores[label]! += 2.5;
    // Some classes are mistaken for the next, so that there are pairs to list.
    if (label % 4 === 1) scores[(label + 1) % classes.length]! += 2;
    evaluation.add({ scores, kind: 'logits', labels: [label], pictures: [name] });
  }
  const result = evaluation.result();
  for (const [index, { picture }] of result.topLosses.entries()) {
    const background = { r: (index * 12) % 256, g: (index * 90) % 256, b: 120 };
    const drawn = sharp({ create: { width: 300, height: 200, channels: 3, background } });
    await writeFile(join(data, String(picture)), await drawn.jpeg().toBuffer());
  }
  const history = Array.from({ length: passes }, (_, pass) => ({
    pass,
    learningRate: 1e-3 * (1 - pass / passes),
    trainCost: 1.5 / (pass + 1),
    trainAccuracy: 1 - 0.5 / (pass + 1),
    dataWait: 0.02 * random.uniform(),
    ...(tested && {
      testCost: 0.4 + 1.2 / (pass + 1),
      testAccuracy: 0.9 - 0.4 / (pass + 1),
      testTop5: 1 - 0.2 / (pass + 1),
      testMeanPerClass: 0.9 - 0.4 / (pass + 1),
    }),
    seconds: 30 + 4 * random.uniform(),
  }));
  const run = {
    command: served ? 'finetune' : 'pretrain',
    options: {
      data,
      out: options.out ?? 'models/infer_model',
      passes,
      batchSize: 16,
      optimizer: 'adam',
      learningRate: 1e-3,
      schedule: { kind: 'cosine', warmUp: 0.1 },
      train: ['*'],
      watch: 'test',
      metric: 'top1',
      seed: 3,
      ...(served ? { from: 'models/pretrain_model' } : { weights: '/somewhere/resnet50.safetensors' }),
    },
    device: { device: 'cpu', threads: 2 },
    network: { depth: 50, width: 1, imageSize: 224, inputNorm: 'imagenet', strideIn: '3x3' },
    dataset: {
      kind: 'folder',
      root: data,
      split: 'ratio:0.8',
      seed: 3,
      classes: classes.length,
      train: 4 * pictures.length,
      valid: 0,
      test: pictures.length,
    },
    versions: { ortune: '0.1.0', node: '20.20.2', onnxruntime: '1.24.1' },
    git: { commit: '0123456789abcdef0123456789abcdef01234567', dirty: true },
    started: '2026-03-01T10:20:30.400Z',
    seconds: 260.5,
    kept: passes - 1,
    history,
  };
  const write = (name: string, text: string) => writeFile(join(folder, 'result', name), text);
  await write('run.json', JSON.stringify(run));
  if (tested) {
    const tested = { root: data, split: 'ratio:0.8', part: 'test', flip: false };
    await write('metrics.json', JSON.stringify({ data: tested, ...result }));
  }
  if (served) await write('model.onnx', '');
  if (steps > 0) {
    const rows = Array.from({ length: passes * steps }, (_, step) => {
      const rate = 1e-3 * (1 - step / (passes * steps));
      const cost = (1.5 / (1 + step / steps)) * (0.6 + 0.8 * random.uniform());
      const accuracy = Math.min(1, (1 - 0.5 / (1 + step / steps)) * (0.85 + 0.3 * random.uniform()));
      return [step, Math.floor(step / steps), step % steps, rate, cost, accuracy].join(',');
    });
    await write('steps.csv', `step,pass,batch,learningRate,cost,accuracy\r\n${rows.join('\r\n')}\r\n`);
  }
  return result;
}
