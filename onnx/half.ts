import { OrtuneError } from '../src/errors.ts';
import { int, nodeOf } from './graph.ts';
import { bytesOf, ELEMENT_TYPES, floatsOf, type Initializer, type Model, type Node } from './model.ts';
import { parametersOf } from './parameters.ts';

/** Largest finite number of half precision. */
const LARGEST = 65504;

/**
 * The network with its weights in half precision: float16 initializers under their names, each turned back to float32 by a
 * Cast. The file is half as large and the arithmetic as before: processors have hardly any float16 kernels, and runtimes
 * do the casts once, when they load the model. BatchNorm's parameters and the bias stay float32; they are few.
 *
 * @throws OrtuneError `EXPORT_RANGE` when a weight is too large for float16
 */
export function withHalfWeights(model: Model): Model {
  const { graph } = model;
  const initializers = new Map(graph.initializers);
  const values = new Map(graph.values);
  const casts: Node[] = [];
  const restored = new Map<string, string>();
  for (const weights of parametersOf(graph).filter(({ dims }) => dims.length > 1)) {
    const output = `${weights.name}_float32`;
    initializers.set(weights.name, { ...weights, type: 'float16', data: bytesOf(toHalf(weights)) });
    values.set(output, { name: output, type: 'float32', dims: weights.dims });
    restored.set(weights.name, output);
    casts.push(nodeOf('Cast', [weights.name], output, { to: int(ELEMENT_TYPES.float32.code) }));
  }
  const nodes = graph.nodes.map((node) => ({ ...node, inputs: node.inputs.map((name) => restored.get(name) ?? name) }));
  return { ...model, graph: { ...graph, nodes: [...casts, ...nodes], initializers, values } };
}

/** float32 to the bits of float16 (IEEE 754), the nearest, ties to the even one. */
function toHalf(tensor: Initializer): Uint16Array {
  const values = floatsOf(tensor);
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const halves = new Uint16Array(values.length);
  for (const [index, word] of bits.entries()) {
    const sign = (word >>> 16) & 0x8000;
    const magnitude = word & 0x7fffffff;
    if (magnitude < 0x38800000) {
      // Below 2^-14 the steps are even, 2^-24 each.
      halves[index] = sign | roundEven(Math.abs(values[index]!) * 2 ** 24);
      continue;
    }
    // 13 bits of the fraction go; a carry runs into the exponent, whose bias is 112 less.
    const half = (magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13;
    if (half >= 0x7c00) {
      throw new OrtuneError(
        'EXPORT_RANGE',
        `${tensor.name}: expected weights of at most ${LARGEST}, the largest of float16, found ${values[index]}. Keep this model as it is.`,
      );
    }
    halves[index] = sign | half;
  }
  return halves;
}

function roundEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}
