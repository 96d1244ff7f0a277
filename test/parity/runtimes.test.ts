import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  ACTIVATION_MAPS,
  buildResNet,
  encodeModel,
  extract,
  floatsOf,
  HEAD_PARAMETERS,
  IMAGE,
  PROBABILITIES,
  withActivationMaps,
} from '../../onnx/index.ts';
import { imageTransform } from '../../src/data/index.ts';
import { exportModel } from '../../src/export/index.ts';
import { InferenceWorker, withClassifierMetadata } from '../../src/inference/index.ts';
import { describeInBrowser } from '../browser.ts';
import { openWorkshop, TINY, type Workshop } from '../training/workshop.ts';
import { type Outputs, runInBrowser } from './browser-runtime.ts';
import { describeWith, run } from './environment.ts';
import { serving } from './setup.mjs';

const SIDE = 64;
const PICTURES = 6;
const CLASSES = ['blue', 'green', 'red'];
/**
 * The models, and how far the runtimes' probabilities may be apart. Of integers the sums are exact everywhere; what the
 * runtimes round differently is a value half way between two steps.
 */
const MODELS = [
  { file: 'model.onnx', tolerance: 1e-5 },
  { file: 'model.fp16.onnx', tolerance: 1e-5 },
  { file: 'model.int8.onnx', tolerance: 5e-3 },
] as const;

let workshop: Workshop;
let folder: string;
const inNode: Outputs[] = [];
beforeAll(async () => {
  workshop = await openWorkshop();
  folder = await mkdtemp(join(tmpdir(), 'ortune-runtimes-'));
  const network = buildResNet({ ...TINY, imageSize: SIDE, strideIn: '1x1', inputNorm: 'caffe' });
  // Answers between the extremes: of logits in the thousands any runtime makes 0 and 1.
  const head = floatsOf(network.graph.initializers.get(HEAD_PARAMETERS[0])!);
  for (const [at, weight] of head.entries()) head[at] = weight * 1e-3;
  const served = withActivationMaps(extract(network, [], [PROBABILITIES]));
  const transform = imageTransform(SIDE);
  await writeFile(
    join(folder, 'model.onnx'),
    encodeModel(withClassifierMetadata(served, { classes: CLASSES, transform })),
  );
  for (const precision of ['fp16', 'int8'] as const) {
    await exportModel({ model: folder, precision, data: workshop.data, threads: 1 });
  }
  const pixels = Uint8Array.from({ length: PICTURES * SIDE * SIDE * 3 }, (_, at) => (at * 31 + (at >> 9) * 77) % 256);
  await writeFile(join(folder, 'pixels'), pixels);
  for (const { file } of MODELS) {
    await using worker = await InferenceWorker.create(join(folder, file), { threads: 1 });
    const outputs = await worker.run({ [IMAGE]: { type: 'uint8', dims: [PICTURES, SIDE, SIDE, 3], data: pixels } });
    inNode.push(
      Object.fromEntries(
        Object.entries(outputs).map(([name, { dims, data }]) => [name, { dims, data: [...(data as Float32Array)] }]),
      ),
    );
  }
});
afterAll(async () => {
  await workshop.remove();
  await rm(folder, { recursive: true, force: true });
});

function expectEqual(found: Outputs, wanted: Outputs, tolerance: number): void {
  expect(Object.keys(found).sort()).toEqual([ACTIVATION_MAPS, PROBABILITIES]);
  for (const name of [PROBABILITIES, ACTIVATION_MAPS]) {
    const [one, other] = [found[name]!, wanted[name]!];
    expect(one.dims).toEqual(other.dims);
    const largest = name === PROBABILITIES ? 1 : Math.max(...other.data.map(Math.abs));
    const apart = Math.max(...one.data.map((value, at) => Math.abs(value - other.data[at]!)));
    expect(apart / largest).toBeLessThanOrEqual(tolerance);
  }
  const classes = ({ data }: Outputs[string]) =>
    Array.from({ length: PICTURES }, (_, row) => {
      const scores = data.slice(row * CLASSES.length, (row + 1) * CLASSES.length);
      return scores.indexOf(Math.max(...scores));
    });
  expect(classes(found[PROBABILITIES]!)).toEqual(classes(wanted[PROBABILITIES]!));
}

describeWith(serving, "Python's onnxruntime", () => {
  it.each(MODELS.map((model, index) => ({ ...model, index })))('answers as Node does: $file', async (model) => {
    const { file, tolerance, index } = model;
    const printed = await run(serving, ['run', join(folder, file), join(folder, 'pixels'), String(SIDE)]);
    const { outputs, metadata } = JSON.parse(printed) as { outputs: Outputs; metadata: Record<string, string> };
    expectEqual(outputs, inNode[index]!, tolerance);
    expect(JSON.parse(metadata['ortune.labels']!)).toEqual(CLASSES);
  });
});

describeInBrowser('onnxruntime-web', () => {
  it('answers as Node does, in a browser, by WebAssembly', async () => {
    const found = await runInBrowser(
      folder,
      MODELS.map(({ file }) => file),
      'pixels',
      SIDE,
    );
    for (const [index, { tolerance }] of MODELS.entries()) expectEqual(found[index]!, inNode[index]!, tolerance);
  });
});
