/**
 * For each operator of ai.onnx that ortune's graphs are made of, the opsets that changed its definition, up to opset 28
 * (github.com/onnx/onnx, docs/Changelog.md). The one in force at a model's opset is the operator's "since version", by
 * which ONNX Runtime looks kernels up.
 */
const CHANGES: Readonly<Record<string, readonly number[]>> = {
  Add: [1, 6, 7, 13, 14],
  And: [1, 7],
  BatchNormalization: [1, 6, 7, 9, 14, 15],
  Cast: [1, 6, 9, 13, 19, 21, 23, 24, 25, 28],
  Concat: [1, 4, 11, 13],
  Conv: [1, 11, 22],
  DequantizeLinear: [10, 13, 19, 21, 23, 24, 25],
  Div: [1, 6, 7, 13, 14],
  Dropout: [1, 6, 7, 10, 12, 13, 22],
  Expand: [8, 13],
  Flatten: [1, 9, 11, 13, 21, 23, 24, 25],
  Gather: [1, 11, 13],
  Gemm: [1, 6, 7, 9, 11, 13],
  GlobalAveragePool: [1, 22],
  Identity: [1, 13, 14, 16, 19, 21, 23, 24, 25],
  If: [1, 11, 13, 16, 19, 21, 23, 24, 25],
  Less: [1, 7, 9, 13],
  MaxPool: [1, 8, 10, 11, 12, 22],
  Min: [1, 6, 8, 12, 13],
  Mul: [1, 6, 7, 13, 14],
  Not: [1],
  Pow: [1, 7, 12, 13, 15],
  QuantizeLinear: [10, 13, 19, 21, 23, 24, 25],
  ReduceMin: [1, 11, 12, 13, 18, 20],
  ReduceSum: [1, 11, 13],
  ReduceSumSquare: [1, 11, 13, 18],
  Relu: [1, 6, 13, 14],
  Reshape: [1, 5, 13, 14, 19, 21, 23, 24, 25],
  Shape: [1, 13, 15, 19, 21, 23, 24, 25],
  Size: [1, 13, 19, 21, 23, 24, 25],
  Softmax: [1, 11, 13],
  SoftmaxCrossEntropyLoss: [12, 13],
  Sqrt: [1, 6, 13],
  Sub: [1, 6, 7, 13, 14],
  Sum: [1, 6, 8, 13],
  Transpose: [1, 13, 21, 23, 24, 25],
  Unsqueeze: [1, 11, 13, 21, 23, 24, 25],
};

/** The since version of an operator of ai.onnx at an opset, or `undefined` for one that this table lacks. */
export function sinceVersion(op: string, opset: number): number | undefined {
  return CHANGES[op]?.findLast((version) => version <= opset);
}
