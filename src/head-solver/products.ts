import { GraphBuilder, int, tensor } from '../../onnx/graph.ts';
import { encodeModel } from '../../onnx/index.ts';
import { OPSET } from '../../onnx/model.ts';
import { InferenceSession, Tensor } from '../inference/onnxruntime-node.ts';

/**
 * The two matrix products of a linear classifier, by onnxruntime-node: some fifty times as fast as loops in JavaScript.
 * Its `run` is synchronous behind the promise, so this belongs on a worker's thread.
 */
export class Products {
  readonly #session: { readonly forward: InferenceSession; readonly backward: InferenceSession };

  private constructor(forward: InferenceSession, backward: InferenceSession) {
    this.#session = { forward, backward };
  }

  static async create(threads?: number): Promise<Products> {
    const options = { executionProviders: ['cpu'], ...(threads !== undefined && { intraOpNumThreads: threads }) };
    const [forward, backward] = await Promise.all(
      [0, 1].map((transposed) => InferenceSession.create(productModel(transposed), options)),
    );
    return new Products(forward as InferenceSession, backward as InferenceSession);
  }

  /** features [rows, width] times weights [width, classes]: [rows, classes] */
  async forward(features: Matrix, weights: Matrix): Promise<Float32Array> {
    return multiply(this.#session.forward, features, weights);
  }

  /** The transpose of features [rows, width] times residuals [rows, classes]: [width, classes] */
  async backward(features: Matrix, residuals: Matrix): Promise<Float32Array> {
    return multiply(this.#session.backward, features, residuals);
  }

  async release(): Promise<void> {
    await Promise.all([this.#session.forward.release(), this.#session.backward.release()]);
  }
}

/** float32, row by row. */
export interface Matrix {
  readonly data: Float32Array;
  readonly rows: number;
  readonly columns: number;
}

async function multiply(session: InferenceSession, left: Matrix, right: Matrix): Promise<Float32Array> {
  const { product } = await session.run({ left: toTensor(left), right: toTensor(right) });
  return product?.data as Float32Array;
}

const toTensor = ({ data, rows, columns }: Matrix) => new Tensor('float32', data, [rows, columns]);

function productModel(transposed: number): Uint8Array {
  const graph = new GraphBuilder('product');
  const left = graph.input(tensor('left', 'float32', 'rows', 'columns'));
  const right = graph.input(tensor('right', 'float32', 'inner', 'classes'));
  const product = tensor('product', 'float32', transposed ? 'columns' : 'rows', 'classes');
  graph.output(graph.add('Gemm', [left, right], product, { attributes: { transA: int(transposed) } }));
  return encodeModel({ graph: graph.build(), opsets: new Map([['', OPSET]]), metadata: new Map() });
}
