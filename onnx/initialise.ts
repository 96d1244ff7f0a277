import { Random } from '../src/random.ts';
import type { Initialise } from './layers.ts';

/**
 * First values for a network that is not loaded from anywhere, after He et al., "Delving deep into rectifiers", ICCV 2015,
 * in the forms that torchvision and PyTorch use: normal with variance 2 / (out * k * k) for convolutions (fan-out),
 * uniform within 1 / sqrt(features) for the head's weights, 1 and 0 for BatchNorm and bias.
 * Each parameter's numbers depend on the seed and its own name alone.
 */
export function seededInitialisation(seed: number): Initialise {
  return (name, dims, kind) => {
    const values = new Float32Array(dims.reduce((product, length) => product * length, 1));
    if (kind === 'ones') return values.fill(1);
    if (kind === 'zeros') return values;
    const random = new Random(seed, `initialise ${name}`);
    if (kind === 'linear') {
      const bound = 1 / Math.sqrt(dims[0] ?? 1);
      return values.map(() => (2 * random.uniform() - 1) * bound);
    }
    const [out = 1, , height = 1, width = 1] = dims;
    const deviation = Math.sqrt(2 / (out * height * width));
    return values.map(() => random.normal() * deviation);
  };
}
