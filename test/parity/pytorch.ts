import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bytesOf, type Model, parametersOf, type ResNetOptions, withInitializers } from '../../onnx/index.ts';
import type { Initialise } from '../../onnx/layers.ts';
import { Random } from '../../src/random.ts';
import { loadWeights, openWeights } from '../../src/weights/index.ts';
import { describeWith, run } from './environment.ts';
import { pytorch as environment } from './setup.mjs';

/** A network for both sides: ortune's options, of which `pytorch.py` makes a model of torchvision's. */
export type NetworkOptions = Pick<
  ResNetOptions,
  'depth' | 'width' | 'strideIn' | 'classes' | 'imageSize' | 'inputNorm' | 'seed'
>;

/**
 * Runs a command of `pytorch.py`.
 * @param folder where the request is left
 * @returns what it printed, from JSON
 */
export async function pytorch(command: 'forward' | 'train', request: object, folder: string): Promise<unknown> {
  const path = join(folder, `${command}.json`);
  await writeFile(path, JSON.stringify(request));
  return JSON.parse(await run(environment, [command, path]));
}

/** Tests against PyTorch. */
export const describePytorch = (name: string, tests: () => void): void => describeWith(environment, name, tests);

/** Values that are to be replaced: drawing seeded ones for a large network takes seconds. */
export const zeros: Initialise = (_name, dims) =>
  new Float32Array(dims.reduce((product, length) => product * length, 1));

/** A model's parameters from a file that PyTorch wrote, the head's too. */
export async function readWeights(path: string, { graph }: Model): Promise<Map<string, Float32Array>> {
  const file = await openWeights(path);
  try {
    return (await loadWeights(file, parametersOf(graph), { head: [] })).values;
  } finally {
    await file.close();
  }
}

/** The model with these values. */
export function withValues(model: Model, values: ReadonlyMap<string, Float32Array>): Model {
  return withInitializers(model, new Map([...values].map(([name, data]) => [name, bytesOf(data)])));
}

/** Pictures, uint8 [count, side, side, 3]: squares of random colours with noise, so that maps differ from place to place. */
export function pictures(count: number, side: number, seed: number): Uint8Array {
  const random = new Random(seed, 'pictures');
  const cell = 8;
  const cells = side / cell;
  const colours = Uint8Array.from({ length: count * cells * cells * 3 }, () => random.integer(256));
  return Uint8Array.from({ length: count * side * side * 3 }, (_, index) => {
    const channel = index % 3;
    const x = Math.floor(index / 3) % side;
    const y = Math.floor(index / 3 / side) % side;
    const picture = Math.floor(index / 3 / side / side);
    const place = (picture * cells + Math.floor(y / cell)) * cells + Math.floor(x / cell);
    return Math.min(255, Math.max(0, colours[place * 3 + channel]! + random.integer(64) - 32));
  });
}
