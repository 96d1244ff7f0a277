import type { GraphBuilder } from '../graph.ts';
import type { Node } from '../model.ts';

/** What a backward rule sees of the walk. */
export interface Backward {
  /** The training graph, to which the rule adds its nodes. */
  readonly graph: GraphBuilder;
  /** The forward node as it stands in the training graph. */
  readonly node: Node;
  /** Name of the gradient of the node's first output. */
  readonly outputGradient: string;
  /** Whether anything trained lies at or before this tensor, so that its gradient is wanted. */
  needs(input: string): boolean;
  /**
   * Name for the gradient of one of the node's inputs, which the rule must then produce. A tensor that several nodes
   * read gets a gradient from each; the walk sums them.
   */
  gradientOf(input: string): string;
  /**
   * Takes over a part of an input's gradient that another reader of it has given, `undefined` where there is none: what the
   * rule gives by {@link gradientOf} must have this part in it.
   */
  takePart(input: string): string | undefined;
  /**
   * Says that a node of the rule adds a parameter's gradient to its buffer by itself, where nothing else has a part in it.
   * @param flag output, bool [1], that tells of it
   */
  accumulates(parameter: string, flag: string): void;
  /** Says that a gradient already there is also that of `input`: nothing to compute, as for Add. */
  pass(input: string, gradient: string): void;
}

/** How an operator is trained. */
export interface GradientRule {
  /** The form for training is a matter of the forward pass: it is used whether or not a gradient passes through. */
  readonly always?: true;
  /** Adds the forward node in the form that training needs; left out where that is the node as it is. */
  forward?(node: Node, graph: GraphBuilder): void;
  backward(step: Backward): void;
}
