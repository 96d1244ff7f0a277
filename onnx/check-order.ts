import { branchesOf, makersOf, nameOf, type Rule, readsOf, withBranches, writesOf } from './check-subject.ts';
import type { Graph, Node } from './model.ts';
import { BUFFER_ENDING } from './names.ts';

/** Every tensor is made once, and before it is read. */
export const madeBeforeRead: Rule = function* ({ training, evaluation }) {
  yield* outOfOrder(training, new Set());
  yield* outOfOrder(evaluation, new Set());
};

/** What is written in place is read before, a gradient after. */
export const readBeforeWritten: Rule = function* ({ training }) {
  for (const graph of withBranches(training)) yield* races(graph);
};

function* outOfOrder(graph: Graph, around: ReadonlySet<string>): Generator<string> {
  const known = new Set([...around, ...graph.inputs.map(nameOf), ...graph.initializers.keys(), '']);
  for (const node of graph.nodes) {
    for (const input of node.inputs) if (!known.has(input)) yield `node '${node.name}' reads '${input}'`;
    for (const branch of branchesOf(node)) yield* outOfOrder(branch, known);
    for (const output of node.outputs) {
      if (output !== '' && known.has(output)) yield `node '${node.name}' makes '${output}' again`;
      known.add(output);
    }
  }
  for (const { name } of graph.outputs) if (!known.has(name)) yield `output '${name}' of '${graph.name}'`;
}

/** The runtime orders nodes by the tensors they pass on, of which a write in place is none. */
function* races(graph: Graph): Generator<string> {
  const writers = new Map(graph.nodes.flatMap((node) => writesOf(node).map((tensor) => [tensor, node])));
  const earlier = new Map<Node, Set<Node>>();
  const order = (first: Node, then: Node) => earlier.set(then, (earlier.get(then) ?? new Set()).add(first));
  for (const reader of graph.nodes) {
    for (const tensor of readsOf(reader)) {
      const writer = writers.get(tensor);
      if (!writer || reader === writer) continue;
      if (tensor.endsWith(BUFFER_ENDING)) order(writer, reader);
      else order(reader, writer);
    }
  }
  const makers = makersOf(graph);
  for (const [node, wanted] of earlier) {
    for (const other of missedOnTheWay(node, wanted, makers))
      yield `node '${node.name}' does not wait for '${other.name}'`;
  }
}

/** Those of some nodes that a node does not depend on; breadth first, as they are mostly near. */
function missedOnTheWay(node: Node, wanted: ReadonlySet<Node>, makers: ReadonlyMap<string, Node>): Set<Node> {
  const missed = new Set(wanted);
  const reached = new Set([node]);
  for (const at of reached) {
    missed.delete(at);
    if (missed.size === 0) break;
    for (const input of readsOf(at)) {
      const maker = makers.get(input);
      if (maker) reached.add(maker);
    }
  }
  return missed;
}
