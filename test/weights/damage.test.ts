import { readFile } from 'node:fs/promises';
import { describe, it } from 'vitest';
import { OrtuneError } from '../../src/errors.ts';
import { Random } from '../../src/random.ts';
import { shared } from '../shared.ts';
import { openBytes, temporaryFolder } from './helpers.ts';

const folder = await temporaryFolder();

/** Whatever the bytes, a reader gives tensors or an OrtuneError: never another error, an endless walk, or memory without end. */
describe.skipIf(!shared)('files with damaged bytes (needs ORTUNE_SHARED)', () => {
  it.each([
    'torch/tiny_resnet_zip.pth',
    'torch/tiny_checkpoint_dataparallel_zip.pth',
    'torch/tiny_resnet_legacy.pth',
    'torch/tiny_resnet.safetensors',
    'paddle/state.pdparams',
    'paddle/combined/__params__',
    'paddle/vars/with_lod',
  ])('%s', async (name) => {
    const whole = await readFile(`${shared}/fixtures/${name}`);
    for (let round = 0; round < 300; round++) {
      const random = new Random(0, name, round);
      const bytes = Buffer.from(whole);
      for (let change = 0; change <= random.integer(3); change++)
        bytes[random.integer(bytes.length)] = random.integer(256);
      try {
        const file = await openBytes(folder, bytes);
        try {
          for (const tensor of file.tensors.keys()) await file.read(tensor);
        } finally {
          await file.close();
        }
      } catch (error) {
        if (!(error instanceof OrtuneError)) throw new Error(`round ${round}: ${String(error)}`, { cause: error });
      }
    }
  });
});
