import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildArtifacts, decodeModel, type Node } from '../../onnx/index.ts';
import { NETWORKS, plansFor } from './networks.ts';
import { describeParity } from './official.ts';
import { BATCHES, batchesFor, movedBy, officialArtifacts, train } from './training.ts';

describeParity('training artifacts beside the official generator', () => {
  let root = '';
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'ortune-parity-'));
  });
  afterAll(() => rm(root, { recursive: true, force: true }));

  describe.each(Object.entries(NETWORKS))('train the same, bit for bit: %s', (_name, network) => {
    const { model } = network;
    it.each(Object.entries(plansFor(network)))('the %s', async (_part, plan) => {
      const folder = await mkdtemp(join(root, 'network-'));
      const moved = movedBy(plan, model);
      const theirs = await officialArtifacts(model, plan, folder);
      const ours = buildArtifacts(model, plan);
      const batches = batchesFor(model);
      const expected = await train(theirs, batches, moved, join(folder, 'theirs'));
      const actual = await train(ours, batches, moved, join(folder, 'ours'));

      // Something happened: the loss changed and every parameter moved.
      expect(new Set(expected.losses).size).toBe(BATCHES.length);
      for (const [name, bytes] of expected.parameters) {
        expect(bytes.equals(model.graph.initializers.get(name)!.data), `${name} moved`).toBe(false);
      }
      expect(actual.losses).toEqual(expected.losses);
      expect(actual.evalLoss).toBe(expected.evalLoss);
      const different = [...expected.parameters].filter(([name, bytes]) => !bytes.equals(actual.parameters.get(name)!));
      expect(different.map(([name]) => name)).toEqual([]);
      // The saved state holds Adam's moments too.
      expect(actual.checkpoint.equals(expected.checkpoint)).toBe(true);
    });
  });

  it('have the same optimizer, up to its numbers', async () => {
    const folder = await mkdtemp(join(root, 'optimizer-'));
    const network = NETWORKS['blocks of another kind on a map that is not square'];
    const plan = plansFor(network).whole;
    const { optimizer } = await officialArtifacts(network.model, plan, folder);
    const theirs = decodeModel(await readFile(join(folder, 'optimizer_model.onnx')));
    const ours = decodeModel(buildArtifacts(network.model, plan).optimizerModel);
    expect(ours.graph.inputs).toEqual(theirs.graph.inputs);
    expect(ours.graph.outputs.map(({ type, dims }) => ({ type, dims }))).toEqual([{ type: 'bool', dims: [1] }]);
    const [node] = ours.graph.nodes as [Node];
    expect(ours.graph.nodes).toHaveLength(1);
    expect([node.domain, node.op, node.inputs]).toEqual([optimizer.domain, optimizer.op, optimizer.inputs]);
    const kinds = ({ attributes }: Node) =>
      new Map(Object.entries(attributes).map(([name, { kind }]) => [name, kind] as const));
    expect(kinds(node)).toEqual(kinds(optimizer));
    expect(ours.opsets).toEqual(theirs.opsets);
  });
});
