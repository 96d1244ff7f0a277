import { float, GraphBuilder, int, MICROSOFT, tensor } from './graph.ts';
import { type Model, OPSET, type ValueInfo } from './model.ts';

/** Adam (Kingma and Ba, ICLR 2015) with PyTorch's and Paddle's defaults. The learning rate is set on the session. */
export interface AdamOptions {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
}

export const ADAM_DEFAULTS: AdamOptions = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };

/**
 * The optimizer model. ONNX Runtime demands exactly these inputs in this order, and one AdamWOptimizer node;
 * `adam_mode` 0 is PyTorch's arithmetic, which without weight decay is Adam's.
 */
export function buildOptimizer(options: AdamOptions): Model {
  const graph = new GraphBuilder('optimizer');
  const sequence = (name: string): ValueInfo => ({ name, type: 'float32', dims: [], sequence: true });
  const inputs = [
    graph.input(tensor('learning_rate', 'float32', 1)),
    graph.input(tensor('step', 'int64', 1)),
    graph.input(sequence('params')),
    graph.input(sequence('gradients')),
    graph.input(sequence('first_order_moments')),
    graph.input(sequence('second_order_moments')),
  ];
  const updated = graph.add('AdamWOptimizer', inputs, tensor('updated', 'bool', 1), {
    domain: MICROSOFT,
    attributes: {
      alpha: float(options.beta1),
      beta: float(options.beta2),
      epsilon: float(options.epsilon),
      weight_decay: float(0),
      correct_bias: int(1),
      adam_mode: int(0),
    },
  });
  graph.output(updated);
  return {
    graph: graph.build(),
    opsets: new Map([
      [MICROSOFT, 1],
      ['', OPSET],
    ]),
    metadata: new Map(),
  };
}
