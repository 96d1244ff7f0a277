import { GraphBuilder, int, MICROSOFT, type NodeOptions, tensor } from './graph.ts';

/** A branch under construction, which reads the tensors of the graph around it. */
export class Branch {
  readonly builder: GraphBuilder;
  readonly #outer: GraphBuilder;
  readonly #stored: string[] = [];

  constructor(outer: GraphBuilder, name: string) {
    this.#outer = outer;
    this.builder = new GraphBuilder(name);
  }

  #value(name: string) {
    return this.builder.has(name) ? this.builder.value(name) : this.#outer.value(name);
  }

  /** A node whose output has the type and shape of `like`; the same name is computed once. */
  compute(op: string, inputs: readonly string[], name: string, like: string): string {
    if (this.builder.has(name)) return name;
    return this.builder.add(op, inputs, { ...this.#value(like), name });
  }

  scalar(op: string, inputs: readonly string[], name: string, attributes = {}): string {
    return this.builder.add(op, inputs, tensor(name, 'float32'), { attributes });
  }

  cast(from: string, type: 'float32' | 'float64', name: string): string {
    const to = int(type === 'float32' ? 1 : 11);
    return this.builder.add('Cast', [from], tensor(name, type, 1), { attributes: { to } });
  }

  /** A scalar constant; it lies in the graph around. */
  number(value: number, type: 'float32' | 'float64' = 'float32'): string {
    const values = type === 'float32' ? Float32Array.of(value) : Float64Array.of(value);
    return this.#outer.constant(`number_${type}_${value}`, values, []);
  }

  /** `rate` times a factor, [1]. */
  scaled(rate: string, factor: number): string {
    return factor === 1 ? rate : this.compute('Mul', [rate, this.number(factor)], `${rate}_x_${factor}`, rate);
  }

  /** Adam's rate with its correction, [1]. */
  corrected(rate: string, correction: string): string {
    return this.compute('Div', [rate, correction], `${rate}_corrected`, rate);
  }

  /** What decoupled weight decay leaves of a parameter: 1 - rate * decay, [1]. */
  keeping(rate: string, decay: number): string {
    const lost = this.compute('Mul', [rate, this.number(decay)], `${rate}_lost`, rate);
    return this.compute('Sub', [this.number(1), lost], `${rate}_kept`, rate);
  }

  /** Puts a new value in an old one's place, for good. */
  store(target: string, value: string): void {
    const always = this.#outer.constant('always', Uint8Array.of(1));
    this.change(target, 'InPlaceAccumulatorV2', [target, value, always], { domain: MICROSOFT });
  }

  /** A node that changes tensors of the graph around for good, `target` the first of them. */
  change(target: string, op: string, inputs: readonly string[], options: NodeOptions): void {
    this.#stored.push(this.builder.add(op, inputs, tensor(`${target}.stored`, 'bool', 1), options));
  }

  finish() {
    this.builder.output(allTrue(this.builder, this.#stored, 'stored'));
    return this.builder.build();
  }
}

/** Whether all of some flags, bool [1] each, are set. */
export function allTrue(graph: GraphBuilder, flags: readonly string[], name: string): string {
  const joined = graph.add('Concat', flags, tensor(`${name}_flags`, 'bool', flags.length), {
    attributes: { axis: int(0) },
  });
  const numbers = graph.add('Cast', [joined], tensor(`${name}_numbers`, 'int32', flags.length), {
    attributes: { to: int(6) },
  });
  const least = graph.add('ReduceMin', [numbers], tensor(`${name}_least`, 'int32', 1), {
    attributes: { keepdims: int(1) },
  });
  return graph.add('Cast', [least], tensor(`${name}_all`, 'bool', 1), { attributes: { to: int(9) } });
}
