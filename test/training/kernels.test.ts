import { describe, expect, it } from 'vitest';
import { ADAM_DEFAULTS, buildResNet, type GraphOptimizer, headOnly } from '../../onnx/index.ts';
import { LAYER_MAPS } from '../../onnx/native-layers.ts';
import type { OrtuneError } from '../../src/errors.ts';
import { Runtime } from '../../src/runtime/index.ts';
import type { TrainingEvent } from '../../src/training/events.ts';
import { checkPrecision, chooseKernels, STOCK_KERNELS } from '../../src/training/kernels.ts';
import { openTraining, sessionDevice } from '../../src/training/session.ts';

const CPU = { device: 'cpu', reason: 'as asked' } as const;
const CUDA = { device: 'cuda', reason: 'as asked' } as const;
const LAYERS = Object.keys(LAYER_MAPS);
const ONEDNN = { version: '3.11.0', instructionSet: 'AVX2' };
const having = (customOperators: string[], kernels?: typeof ONEDNN) => () => ({ customOperators, kernels });
const unasked = () => expect.unreachable('the library was asked');
const stock = { kernels: 'stock', layers: 'stock' };
const native = { kernels: 'native', layers: 'native', library: ONEDNN };

describe('kernels are', () => {
  it.each([
    ['native on the CPU', undefined, CPU, having(LAYERS, ONEDNN), native],
    ['native, as asked', 'native', CPU, having(LAYERS, ONEDNN), native],
    [
      'native, as asked, on an old processor',
      'native',
      CPU,
      having(LAYERS, { ...ONEDNN, instructionSet: 'SSE4.1' }),
      {
        ...native,
        library: { ...ONEDNN, instructionSet: 'SSE4.1' },
      },
    ],
    [
      'native for updates alone on an old processor',
      undefined,
      CPU,
      having(LAYERS, { ...ONEDNN, instructionSet: 'AVX' }),
      {
        ...stock,
        kernels: 'native',
      },
    ],
    [
      'native for updates alone without oneDNN',
      undefined,
      CPU,
      having(['AdamUpdate']),
      { ...stock, kernels: 'native' },
    ],
    ['stock, as asked', 'stock', CPU, unasked, stock],
    ['stock where the library takes no others', undefined, CPU, having([]), stock],
    ['stock on a GPU', undefined, CUDA, unasked, stock],
  ] as const)('%s', (_, choice, device, runtime, expected) => {
    expect(chooseKernels(choice, device, runtime)).toEqual(expected);
  });

  it.each([
    ['a GPU', CUDA, unasked, 'received a GPU, which has none'],
    ['a setup without oneDNN', CPU, having(['AdamUpdate']), 'received a setup without oneDNN'],
    [
      'a library that takes no others',
      CPU,
      having([]),
      'received a training library that takes no operators but its own',
    ],
  ] as const)('refused as native for %s', (_, device, runtime, message) => {
    const error = (() => {
      try {
        return chooseKernels('native', device, runtime);
      } catch (caught) {
        return caught as OrtuneError;
      }
    })();
    expect(error).toMatchObject({ code: 'OPTION', message: expect.stringContaining(message) });
  });
});

describe('a precision is', () => {
  const because = (run: () => void) => {
    try {
      return run();
    } catch (caught) {
      return caught;
    }
  };
  const layers = { kernels: 'native', layers: 'native' } as const;

  it.each([
    ['fp32', CPU, STOCK_KERNELS],
    ['fp32', CUDA, STOCK_KERNELS],
    ['fp16', CUDA, STOCK_KERNELS],
    ['bf16', CPU, layers],
  ] as const)('right: %s on %o, %o', (precision, device, kernels) => {
    expect(because(() => checkPrecision(precision, device, kernels))).toBeUndefined();
  });

  it.each([
    ['fp16', CPU, layers, '--precision fp16: expected a GPU, received the CPU'],
    ['bf16', CPU, STOCK_KERNELS, "--precision bf16: expected native kernels on the CPU, received ONNX Runtime's"],
    ['bf16', CUDA, STOCK_KERNELS, 'expected native kernels on the CPU, received a GPU (as asked); add --device cpu'],
  ] as const)('refused: %s on %o, %o', (precision, device, kernels, message) => {
    const error = because(() => checkPrecision(precision, device, kernels));
    expect(error).toMatchObject({ code: 'OPTION', message: expect.stringContaining(message) });
  });
});

const SGD: GraphOptimizer = {
  algorithm: { kind: 'sgd', momentum: 0.9, nesterov: false },
  weightDecay: 0,
  decays: () => false,
  rate: () => 1,
};

it('the addon offers its operators to the pinned library', () => {
  const { customOperators, kernels } = Runtime.load();
  expect(customOperators).toEqual(['AdamUpdate', 'SgdUpdate', ...(kernels ? LAYERS : [])]);
});

describe('a stage tells of native kernels', () => {
  it.each([
    ['where its update is in the graph', SGD, 'native', 'native'],
    ['but not of stock ones', SGD, 'stock', 'stock'],
    ["but not where ONNX Runtime's own optimizer makes the update", ADAM_DEFAULTS, 'native', 'stock'],
  ] as const)('%s', (_, optimizer, kernels, told) => {
    const events: TrainingEvent[] = [];
    const device = sessionDevice(CPU, {
      threads: 2,
      chosen: { kernels, layers: 'native', library: ONEDNN },
      plan: headOnly('frozen', optimizer),
      emit: (event) => events.push(event),
    });
    expect(device).toEqual({ device: 'cpu', threads: 2, kernels, layers: 'native', exact: false });
    expect(events).toEqual([{ type: 'device', ...CPU, threads: 2, kernels: told, layers: ONEDNN }]);
  });
});

it('openTraining opens a session on either', async () => {
  const model = buildResNet({ width: 1 / 16, imageSize: 32, classes: 3 });
  for (const kernels of ['native', 'stock'] as const) {
    await using training = await openTraining(model, headOnly('frozen', SGD), { device: 'cpu', threads: 1, kernels });
    expect(training.session.trainInputNames).toContain('update');
  }
});
