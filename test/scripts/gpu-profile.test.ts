import { describe, expect, test } from 'vitest';
import { HEAVY_BYTES, isHeavy, placements, readTrace, strayNodes } from '../../scripts/gpu/profile.ts';

/** An event as ONNX Runtime 1.24.1 writes it for a node: times in microseconds, sizes as text. */
const node = (name: string, op: string, provider: string, ts: number, { dur = 1000, bytes = 0 } = {}) => ({
  cat: 'Node',
  pid: 1,
  tid: 1,
  dur,
  ts,
  ph: 'X',
  name: `${name}_kernel_time`,
  args: {
    op_name: op,
    provider,
    activation_size: String(bytes),
    parameter_size: '0',
    output_size: '8',
    node_index: '3',
  },
});
const session = (name: string, ts: number) => ({ cat: 'Session', pid: 1, tid: 1, dur: 5, ts, ph: 'X', name, args: {} });

const CPU = 'CPUExecutionProvider';
const CUDA = 'CUDAExecutionProvider';

const trace = JSON.stringify([
  session('session_initialization', 0),
  session('model_run', 10),
  node('conv1', 'Conv', CUDA, 11, { dur: 90_000 }),
  session('model_run', 100_010),
  node('conv1', 'Conv', CUDA, 100_020, { dur: 700 }),
  node('conv2', 'Conv', CUDA, 100_030, { dur: 500 }),
  node('shape', 'Shape', CPU, 100_040, { dur: 2 }),
  node('pool', 'Squeeze', CPU, 100_050, { dur: 3, bytes: HEAVY_BYTES }),
  { ...session('conv1_fence', 100_060), cat: 'Node', name: 'conv1_fence_before' },
]);

describe('the trace of a profiled session', () => {
  const runs = readTrace(trace, 'trace.json');

  test('is read for its last step only', () => {
    expect(runs).toEqual([
      { node: 'conv1', op: 'Conv', provider: CUDA, milliseconds: 0.7, bytes: 8 },
      { node: 'conv2', op: 'Conv', provider: CUDA, milliseconds: 0.5, bytes: 8 },
      { node: 'shape', op: 'Shape', provider: CPU, milliseconds: 0.002, bytes: 8 },
      { node: 'pool', op: 'Squeeze', provider: CPU, milliseconds: 0.003, bytes: HEAVY_BYTES + 8 },
    ]);
  });

  test('gives a row for each operator and provider, the slowest first', () => {
    expect(placements(runs).map(({ op, provider, nodes }) => [op, provider, nodes])).toEqual([
      ['Conv', CUDA, 2],
      ['Squeeze', CPU, 1],
      ['Shape', CPU, 1],
    ]);
    expect(placements(runs)[0]?.milliseconds).toBeCloseTo(1.2);
  });

  test('tells the nodes that ran elsewhere, and which of them are heavy: by their size or by what they are', () => {
    expect(strayNodes(runs, 'cuda').map(({ node }) => node)).toEqual(['shape', 'pool']);
    expect(strayNodes(runs, 'cpu').map(({ node }) => node)).toEqual(['conv1', 'conv2']);
    expect(runs.filter(isHeavy).map(({ node }) => node)).toEqual(['conv1', 'conv2', 'pool']);
  });

  test.each([
    ['no JSON', '[{', /trace\.json: expected a trace of ONNX Runtime, found no JSON/],
    ['a trace without nodes', JSON.stringify([session('model_run', 1)]), /expected the times of nodes, found none/],
  ])('%s is refused', (_, text, message) => {
    expect(() => readTrace(text, 'trace.json')).toThrow(message);
  });
});
