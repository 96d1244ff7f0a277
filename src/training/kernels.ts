import type { Kernels, Optimizer, TrainingPlan } from '../../onnx/index.ts';
import { OrtuneError } from '../errors.ts';
import { Runtime } from '../runtime/index.ts';
import type { Device } from './device.ts';

/** What decides whether there are native kernels: the library in use, or a test's. */
export type KernelsRuntime = Pick<Runtime, 'customOperators'>;

/**
 * Decides whose kernels make an update that lies in the training graph: the addon's own on the CPU, which train the same
 * and faster, else ONNX Runtime's.
 *
 * @param choice left out: native where it can be
 * @throws OrtuneError `OPTION` when native kernels are asked for and there are none
 */
export function chooseKernels(
  choice: Kernels | undefined,
  { device }: Pick<Device, 'device'>,
  runtime: () => KernelsRuntime = () => Runtime.load(),
): Kernels {
  if (choice === 'stock') return 'stock';
  const obstacle =
    device === 'cuda'
      ? 'a GPU, which has none'
      : runtime().customOperators.length === 0
        ? 'a training library that takes no operators but its own'
        : undefined;
  if (obstacle === undefined) return 'native';
  if (choice === undefined) return 'stock';
  throw new OrtuneError(
    'OPTION',
    `--kernels native: expected the CPU and a library with custom operators, received ${obstacle}. Leave the flag out.`,
  );
}

/** Whether training by a plan has nodes with kernels of the addon's: ONNX Runtime's own optimizer has none. */
export const usesNative = ({ optimizer }: Pick<TrainingPlan<Optimizer>, 'optimizer'>, kernels: Kernels): boolean =>
  kernels === 'native' && 'algorithm' in optimizer;
