import { describe, expect, it } from 'vitest';
import { float, GraphBuilder, int, ints, string, tensor } from '../../onnx/graph.ts';
import {
  ADAM_DEFAULTS,
  buildArtifacts,
  buildResNet,
  bytesOf,
  decodeModel,
  encodeModel,
  encodeModelChunks,
  floatsOf,
  type Initializer,
  type Model,
  wholeNetwork,
} from '../../onnx/index.ts';
import { type GraphMessage, ModelProto } from '../../onnx/proto.ts';
import { residualBlock, tinyNet } from './tiny-nets.ts';

/** A model in what `toEqual` compares by value: bytes of whichever class, attributes at float32's precision. */
function plain({ graph, ...rest }: Model) {
  const initializers = [...graph.initializers.values()].map(({ data, ...info }) => ({
    ...info,
    data: Buffer.from(data),
  }));
  const nodes = graph.nodes.map(({ attributes, ...node }) => ({
    ...node,
    attributes: Object.entries(attributes).map(([name, { kind, value }]) => {
      return [name, kind, kind === 'float' ? Math.fround(value) : value];
    }),
  }));
  return { ...rest, graph: { ...graph, nodes, initializers } };
}

/** A file whose graph is the message as it stands. */
const fileOf = (graph: GraphMessage) => ModelProto.encode({ irVersion: 8, graph }).finish();
const initializer = (message: object) => fileOf({ initializer: [{ name: 't', ...message }] });

describe('encoding, then decoding', () => {
  const network = buildResNet({ width: 1 / 32, imageSize: 32, classes: 3 });
  const tiny = tinyNet(residualBlock);
  const artifacts = buildArtifacts(tiny, wholeNetwork(tiny, 'frozen', ADAM_DEFAULTS));

  it('gives a network back, order of initializers and metadata included', () => {
    const decoded = decodeModel(encodeModel(network));
    expect(plain(decoded)).toEqual(plain(network));
    expect([...decoded.graph.initializers.keys()]).toEqual([...network.graph.initializers.keys()]);
    expect(decoded.metadata.get('ortune.network')).toContain('"classes":3');
  });

  it('comes in pieces, in which the initializers are not copied', () => {
    const pieces = [...encodeModelChunks(network)];
    expect(Buffer.concat(pieces).equals(encodeModel(network))).toBe(true);
    for (const { data } of network.graph.initializers.values()) expect(pieces).toContain(data);
  });

  it.each(['trainingModel', 'evalModel', 'optimizerModel'] as const)('gives the same bytes again for a %s', (name) => {
    const bytes = artifacts[name];
    expect(Buffer.compare(encodeModel(decodeModel(bytes)), bytes)).toBe(0);
  });

  it('keeps attributes of every kind, omitted names, scalars, sequences and numbers of 64 bits', () => {
    const graph = new GraphBuilder('all kinds');
    const sequence = graph.input({ name: 'sequence', type: 'float32', dims: [], sequence: true });
    const scalar = graph.constant('scalar', Float32Array.of(0.1), []);
    graph.constant('none', new Float32Array(0), [0]);
    graph.addNode('Anything', [scalar, '', sequence], [undefined, tensor('out', 'int64', 'n', 2)], {
      name: 'node',
      domain: 'some.where',
      attributes: {
        int: int(-3),
        big: int(2 ** 40),
        float: float(0.5),
        ints: ints(0, -1, 2 ** 35),
        none: ints(),
        floats: { kind: 'floats', value: [1.5, -2] },
        string: string('mittel ü'),
      },
    });
    graph.output('out');
    const opsets = new Map([
      ['', 17],
      ['some.where', 3],
    ]);
    const model = { graph: graph.build(), opsets, metadata: new Map() };
    expect(plain(decodeModel(encodeModel(model)))).toEqual(plain(model));
  });

  it('reads float32 wherever its bytes lie in the file', () => {
    for (const name of ['a', 'ab', 'abc', 'abcd']) {
      const values = Float32Array.of(1, -2, 3.5);
      const graph = new GraphBuilder('g');
      graph.initializer({ name, type: 'float32', dims: [3], data: bytesOf(values) });
      const decoded = decodeModel(encodeModel({ graph: graph.build(), opsets: new Map(), metadata: new Map() }));
      expect(floatsOf(decoded.graph.initializers.get(name) as Initializer)).toEqual(values);
    }
  });
});

describe('a file that is no model', () => {
  const refusals: [string, Uint8Array, RegExp][] = [
    ['text', new TextEncoder().encode('<!doctype html><title>404</title>'), /does not parse/],
    ['cut short', encodeModel(tinyNet(residualBlock)).subarray(0, -200), /does not parse/],
    ['empty', new Uint8Array(), /holds no graph/],
    ['data elsewhere', initializer({ dims: [1], dataType: 1, dataLocation: 1 }), /'t': .*another file/],
    ['unknown type', initializer({ dims: [1], dataType: 8 }), /'t': expected one of float32, .* data type 8/],
    [
      'too few bytes',
      initializer({ dims: [2, 3], dataType: 1, rawData: new Uint8Array(20) }),
      /'t': expected 24 bytes for float32 \[2, 3\], received 20/,
    ],
    [
      'attribute of an unread kind',
      fileOf({ node: [{ opType: 'If', output: ['y'], attribute: [{ name: 'then_branch', type: 4 }] }] }),
      /'then_branch': .* received type 4/,
    ],
  ];
  it.each(refusals)('is refused: %s', (_name, bytes, message) => {
    expect(() => decodeModel(bytes)).toThrow(message);
    expect(() => decodeModel(bytes)).toThrow(expect.objectContaining({ name: 'OrtuneError', code: 'ONNX_INVALID' }));
  });
});
