/**
 * What one would write without a server: decode a picture, run the model on it, take the next. For so many seconds a
 * request; answers with pictures a second and the median and 99th percentile of their milliseconds.
 */
import { readFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { decodeModel, IMAGE, PROBABILITIES } from '../../onnx/index.ts';
import { decodeCentre } from '../../src/data/index.ts';
import { classifierMetadata } from '../../src/inference/index.ts';

const [model = '', threads, ...files] = process.argv.slice(2);
const path = (await stat(model)).isDirectory() ? join(model, 'model.onnx') : model;
const { transform } = classifierMetadata(decodeModel(readFileSync(path)).metadata, path);
const session = await InferenceSession.create(path, {
  intraOpNumThreads: Number(threads),
  graphOptimizationLevel: 'all',
});
const pictures = files.map((file) => readFileSync(file));
const dims = [1, transform.imageSize, transform.imageSize, 3];

async function measure(seconds: number) {
  const times: number[] = [];
  const started = performance.now();
  let now = started;
  while (now - started < seconds * 1000) {
    const image = await decodeCentre(pictures[times.length % pictures.length]!, transform);
    await session.run({ [IMAGE]: new Tensor('uint8', image, dims) }, [PROBABILITIES]);
    const end = performance.now();
    times.push(end - now);
    now = end;
  }
  const sorted = times.toSorted((left, right) => left - right);
  const quantile = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
  return { perSecond: (times.length * 1000) / (now - started), p50: quantile(0.5), p99: quantile(0.99) };
}

for await (const line of createInterface({ input: process.stdin }))
  console.log(JSON.stringify(await measure(Number(line))));
process.exit();
