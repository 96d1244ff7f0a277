import type { Kernels, Optimizer, Precision, TrainingPlan } from '../../onnx/index.ts';
import { LAYER_MAPS } from '../../onnx/native-layers.ts';
import { OrtuneError } from '../errors.ts';
import { type KernelLibrary, Runtime } from '../runtime/index.ts';
import type { Device } from './device.ts';

/** What decides whether there are native kernels: the library in use, or a test's. */
export type KernelsRuntime = Pick<Runtime, 'customOperators' | 'kernels'>;

/** Whose kernels a session trains by. */
export interface ChosenKernels {
  /** Of an update that lies in the training graph. */
  readonly kernels: Kernels;
  /** Of convolutions, BatchNorms and pooling in training. */
  readonly layers: Kernels;
  /** What these run on, where they are native. */
  readonly library?: KernelLibrary;
}

export const STOCK_KERNELS: ChosenKernels = { kernels: 'stock', layers: 'stock' };

/** Without these vectors ONNX Runtime's own convolutions are no slower. */
const WIDE = /AVX2|AVX-512|AMX/;

/**
 * Decides whose kernels a session on the CPU trains by: the addon's own where they are to be had, which are faster, else
 * ONNX Runtime's. Updates need a library with custom operators, layers oneDNN too.
 *
 * @param choice left out: native where it can be
 * @throws OrtuneError `OPTION` when native kernels are asked for and there are none
 */
export function chooseKernels(
  choice: Kernels | undefined,
  { device }: Pick<Device, 'device'>,
  runtime: () => KernelsRuntime = () => Runtime.load(),
): ChosenKernels {
  if (choice === 'stock') return STOCK_KERNELS;
  if (device === 'cuda') return choice === undefined ? STOCK_KERNELS : refuse('a GPU, which has none');
  const { customOperators, kernels: library } = runtime();
  if (customOperators.length === 0) {
    return choice === undefined ? STOCK_KERNELS : refuse('a training library that takes no operators but its own');
  }
  const offered = new Set(customOperators);
  if (!library || !Object.keys(LAYER_MAPS).every((name) => offered.has(name))) {
    return choice === undefined
      ? { ...STOCK_KERNELS, kernels: 'native' }
      : refuse('a setup without oneDNN (see npx ortune doctor)');
  }
  if (choice === undefined && !WIDE.test(library.instructionSet)) return { ...STOCK_KERNELS, kernels: 'native' };
  return { kernels: 'native', layers: 'native', library };
}

function refuse(received: string): never {
  throw new OrtuneError(
    'OPTION',
    `--kernels native: expected the CPU, a library with custom operators and oneDNN, received ${received}. Leave the flag out.`,
  );
}

/** @throws OrtuneError `OPTION` for a precision that the chosen device and kernels do not train in */
export function checkPrecision(precision: Precision, { device, reason }: Device, { layers }: ChosenKernels): void {
  if (precision === 'fp16' && device === 'cpu') {
    throw new OrtuneError(
      'OPTION',
      `--precision fp16: expected a GPU, received the CPU, which has no half precision (${reason}).`,
    );
  }
  if (precision === 'bf16' && layers !== 'native') {
    const received =
      device === 'cuda' ? `a GPU (${reason}); add --device cpu` : "ONNX Runtime's kernels, which lack it";
    throw new OrtuneError('OPTION', `--precision bf16: expected native kernels on the CPU, received ${received}.`);
  }
}

/** Whether training by a plan has an update by a kernel of the addon's: ONNX Runtime's own optimizer has none. */
export const usesNative = ({ optimizer }: Pick<TrainingPlan<Optimizer>, 'optimizer'>, kernels: Kernels): boolean =>
  kernels === 'native' && 'algorithm' in optimizer;
