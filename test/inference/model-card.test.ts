import { describe, expect, it } from 'vitest';
import { buildResNet, decodeModel, encodeModel, networkOf } from '../../onnx/index.ts';
import { type Dataset, imageTransform } from '../../src/data/index.ts';
import { modelCard, readModelCard, withModelCard } from '../../src/inference/index.ts';
import { Evaluation } from '../../src/metrics/index.ts';

const model = buildResNet({ width: 0.0625, classes: 2, imageSize: 64 });
const sample = (name: string) => ({ file: `/home/somebody/photos/${name}`, label: 0 });
const dataset: Dataset = {
  root: '/home/somebody/photos',
  kind: 'folder',
  split: 'ratio:0.8',
  classes: ['cat', 'dog'],
  train: [sample('a'), sample('b'), sample('c')],
  valid: [],
  test: [sample('d'), sample('e')],
  warnings: [],
};
const settings = {
  data: '/home/somebody/photos',
  out: '/home/somebody/models',
  from: 'one',
  threads: 3,
  passes: 4,
  learningRate: 1e-3,
  testFlip: true,
};
const evaluation = new Evaluation(dataset.classes);
evaluation.add({ scores: Float32Array.of(0.9, 0.1, 0.2, 0.8), kind: 'probabilities', labels: [0, 0] });
const card = modelCard({
  network: networkOf(model)!,
  dataset,
  splitSeed: 7,
  transform: imageTransform(64),
  settings,
  evaluation: evaluation.result(),
});

describe("a model's card", () => {
  it('tells what the model is, by what it was trained, and how good it is', () => {
    expect(card).toMatchObject({
      task: 'image-classification',
      classes: 2,
      precision: 'fp32',
      trainingData: { kind: 'folder', split: 'ratio:0.8', seed: 7, train: 3, valid: 0, test: 2 },
      evaluation: { pictures: 2, top1: 0.5, flip: true },
      training: { passes: 4, learningRate: 1e-3 },
    });
    expect(card.inputs['image']).toContain('[batch, 64, 64, 3], RGB');
    expect(card.inputs['image']).toContain('scaled to 73 pixels');
  });

  it('tells nothing of the machine', () => {
    expect(JSON.stringify(card)).not.toMatch(/somebody|threads|"out"|"from"/);
  });

  it('goes into the file, its description where viewers show it', () => {
    const read = decodeModel(encodeModel(withModelCard(model, card)));
    expect(readModelCard(read.metadata)).toEqual(card);
    expect(read.description).toBe('Tells which of 2 classes a picture is of: ResNet50, fine-tuned by ortune.');
  });

  it('is left out where there is none, or where it is broken', () => {
    expect(readModelCard(model.metadata)).toBeUndefined();
    expect(readModelCard(new Map([['ortune.card', '{']]))).toBeUndefined();
  });
});
