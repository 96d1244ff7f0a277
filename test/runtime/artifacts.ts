import { ADAM_DEFAULTS, type Artifacts, buildArtifacts, buildResNet, wholeNetwork } from '../../onnx/index.ts';
import type { Tensors } from '../../src/runtime/index.ts';

export const CLASSES = 5;
export const SIDE = 32;
export const BIAS = 'fc_0.b_0';

let built: Artifacts | undefined;

/** A narrow ResNet50 for 32-pixel pictures, trained as a whole, by Adam. */
export function artifacts(): Artifacts {
  if (!built) {
    const model = buildResNet({ width: 0.125, imageSize: SIDE, classes: CLASSES });
    built = buildArtifacts(model, wholeNetwork(model, 'live', ADAM_DEFAULTS));
  }
  return built;
}

/** `count` pictures of stripes, another picture for another `seed`; all of class `label`, or of classes in turn. */
export function batch(count: number, seed = 0, label?: number) {
  const pixels = count * SIDE * SIDE * 3;
  return {
    image: {
      type: 'uint8',
      dims: [count, SIDE, SIDE, 3],
      data: Uint8Array.from({ length: pixels }, (_, index) => ((index + seed) * 7919) % 251),
    },
    label: {
      type: 'int64',
      dims: [count],
      data: BigInt64Array.from({ length: count }, (_, index) => BigInt(label ?? index % CLASSES)),
    },
  } as const satisfies Tensors;
}
