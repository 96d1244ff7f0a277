import { RESNET_DEFAULTS, type ResNetOptions } from '../../onnx/index.ts';
import type { DataReport } from '../check-data/index.ts';
import type { Recipe } from '../recipes/index.ts';
import { requireMemory } from '../training/check-memory.ts';
import type { Device } from '../training/device.ts';
import type { Emit } from '../training/events.ts';
import { chooseKernels } from '../training/kernels.ts';
import { FINETUNE_DEFAULTS, PRETRAIN_DEFAULTS } from '../training/options.ts';
import { headMemory, wholeMemory } from '../training/stage-memory.ts';

interface FitMemory {
  readonly recipe: Recipe;
  readonly network: Partial<ResNetOptions>;
  readonly weights: string;
  readonly chosen: Device;
  readonly kernels?: 'native' | 'stock' | undefined;
  readonly memoryLimit?: string | undefined;
  readonly pictures: DataReport['parts'];
  readonly emit: Emit;
}

/**
 * Checks that both stages have enough memory: the second should not be refused when the first is done.
 *
 * @throws OrtuneError `MEMORY_LIMIT`
 */
export async function requireFitMemory({
  recipe,
  network,
  weights,
  chosen,
  pictures,
  emit,
  ...options
}: FitMemory): Promise<void> {
  const size = {
    network: { ...RESNET_DEFAULTS, ...network },
    chosen: chooseKernels(options.kernels, chosen),
    device: chosen.device,
    pictures,
    by: 'recipe' as const,
    emit,
  };
  const limitOf = (stage: { readonly memoryLimit?: string } | undefined) => options.memoryLimit ?? stage?.memoryLimit;
  const { pretrain, finetune } = recipe;
  await requireMemory(
    headMemory({ ...PRETRAIN_DEFAULTS, ...pretrain, weights }, { ...size, memoryLimit: limitOf(pretrain) }),
  );
  await requireMemory(wholeMemory({ ...FINETUNE_DEFAULTS, ...finetune }, { ...size, memoryLimit: limitOf(finetune) }));
}
