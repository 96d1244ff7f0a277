import { join } from 'node:path';
import { download, sourceOf } from '../download/index.ts';
import { OrtuneError } from '../errors.ts';
import type { RunContext } from '../training/run.ts';

/** What is trained on unless weights are named: torchvision's, of ImageNet-1k. */
const SOURCE = 'torchvision-resnet50';

/**
 * Pretrained weights for whoever has none: fetched once, and checked.
 *
 * @returns the file
 * @throws OrtuneError `WEIGHTS_NEEDED` telling what else there is to do, where they cannot be fetched
 */
export async function fetchWeights({ emit, signal }: Pick<RunContext, 'emit' | 'signal'>): Promise<string> {
  const { to, files } = sourceOf(SOURCE);
  try {
    await download(SOURCE, {
      ...(signal && { signal }),
      onEvent(event) {
        if (event.type === 'start') emit({ type: 'note', text: `fetching pretrained weights: ${event.file}` });
        if (event.type !== 'progress' || event.total === undefined) return;
        emit({ type: 'progress', task: 'download', done: event.received, total: event.total });
      },
    });
  } catch (error) {
    if (!(error instanceof OrtuneError) || !error.code.startsWith('DOWNLOAD_')) throw error;
    throw new OrtuneError(
      'WEIGHTS_NEEDED',
      `pretrained weights are needed, and ${SOURCE} could not be fetched. ${error.message}\n` +
        'Or name weights that you have (--weights FILE), or train from nothing, which takes many pictures (--weights none).',
      { cause: error },
    );
  }
  return join(to, files[0]!.name);
}
