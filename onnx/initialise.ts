import { Random } from '../src/random.ts';
import type { Initialise } from './layers.ts';

/**
 * First values for a network that is not loaded from anywhere: normal with variance 2 / (out * k * k) for convolutions
 * (He et al., "Delving deep into rectifiers", ICCV 2015, the fan-out form, as torchvision has it), deviation 0.01 for
 * the head (He et al., "Deep residual learning", CVPR 2016 follows VGG there), 1 and 0 for BatchNorm.
 * Each parameter's numbers depend on the seed and its own name alone.
 */
export function seededInitialisation(seed: number): Initialise {
  return (name, dims, kind) => {
    const values = new Float32Array(dims.reduce((product, length) => product * length, 1));
    if (kind === 'ones') return values.fill(1);
    if (kind === 'zeros') return values;
    const [out = 1, , height = 1, width = 1] = dims;
    const deviation = kind === 'linear' ? 0.01 : Math.sqrt(2 / (out * height * width));
    const random = new Random(seed, `initialise ${name}`);
    for (let index = 0; index < values.length; index++) values[index] = random.normal() * deviation;
    return values;
  };
}
