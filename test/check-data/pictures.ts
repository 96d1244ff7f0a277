import type { Sharp } from 'sharp';
import { Random } from '../../src/random.ts';
import { painted } from '../data/fixtures.ts';

/** A picture of soft blobs, another for each number; much as photographs are to a hash. */
export function blobs(number: number, width = 120, height = 90): Sharp {
  const random = new Random(number, 'blobs');
  const spots = Array.from({ length: 12 }, () => ({
    x: random.uniform(),
    y: random.uniform(),
    size: 0.05 + 0.2 * random.uniform(),
    colour: [random.uniform(), random.uniform(), random.uniform()],
  }));
  return painted(width, height, (x, y) => {
    const sums = [0, 0, 0];
    for (const spot of spots) {
      const far = ((x / width - spot.x) ** 2 + (y / height - spot.y) ** 2) / spot.size ** 2;
      for (const [channel, share] of spot.colour.entries()) sums[channel]! += 70 * share * Math.exp(-far);
    }
    return sums.map((value) => Math.min(200, 20 + value)) as [number, number, number];
  });
}
