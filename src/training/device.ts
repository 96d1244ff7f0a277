import { OrtuneError } from '../errors.ts';
import { Runtime } from '../runtime/index.ts';

/** `auto` takes a GPU where one can be used. */
export type DeviceChoice = 'auto' | 'cpu' | 'cuda';

export interface Device {
  readonly device: 'cpu' | 'cuda';
  /** Why this one. */
  readonly reason: string;
}

/** Decides where to train. @throws OrtuneError `DEVICE` when CUDA is asked for and cannot be used */
export async function chooseDevice(choice: DeviceChoice): Promise<Device> {
  if (choice === 'cpu') return { device: 'cpu', reason: 'as asked' };
  const runtime = Runtime.load();
  const obstacle = runtime.providers.includes('CUDAExecutionProvider')
    ? await runtime.probeCuda()
    : 'the training library in use is the CPU build; npm run setup -- --cuda fetches the GPU one.';
  if (obstacle === null) return { device: 'cuda', reason: choice === 'cuda' ? 'as asked' : 'it can be used' };
  if (choice === 'auto') return { device: 'cpu', reason: `no CUDA: ${obstacle}` };
  throw new OrtuneError('DEVICE', `--device cuda: ${obstacle} Use --device cpu, or see npm run doctor.`);
}
