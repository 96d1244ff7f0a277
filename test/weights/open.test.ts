import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openWeights } from '../../src/weights/index.ts';
import { failure, openBytes, temporaryFolder, zip } from './helpers.ts';

const folder = await temporaryFolder();

describe('openWeights', () => {
  it('says what to get where there is nothing', async () => {
    const error = await failure(openWeights(join(folder, 'models/ResNet50_pretrained')));
    expect(error.code).toBe('WEIGHTS_NOT_FOUND');
    expect(error.message).toContain('models/ResNet50_pretrained: expected pretrained weights');
    expect(error.message).toContain('ResNet50_pretrained.zip');
    expect(error.message).toContain('--weights none');
  });

  it('lists the formats for a file of none of them', async () => {
    const error = await failure(openBytes(folder, 'just some text, longer than a few bytes'));
    expect(error.code).toBe('WEIGHTS_FORMAT');
    for (const format of [
      'one Paddle variable per file',
      'Paddle combined',
      '.pdparams',
      'safetensors',
      'torch .pth',
      'ONNX',
    ]) {
      expect(error.message).toContain(format);
    }
    expect(error.message).toContain(Buffer.from('just som').toString('hex'));
  });

  it.each([
    ['', /an empty file/],
    ['version https://git-lfs.github.com/spec/v1\noid sha256:', /git lfs pull/],
    ['\n<!DOCTYPE html><html>Sign in</html>', /web page/],
    [Buffer.from('\x89HDF\r\n\x1a\n', 'latin1'), /HDF5/],
    [Buffer.from('1f8b08000000', 'hex'), /gzip/],
  ])('knows common mistakes: %j', async (content, message) => {
    expect((await failure(openBytes(folder, content))).message).toMatch(message);
  });

  it('says to unpack a zip of anything else', async () => {
    const error = await failure(openBytes(folder, zip({ 'ResNet50_pretrained/conv1_weights': 'x' })));
    expect(error.message).toMatch(/ResNet50_pretrained\/conv1_weights.*unpack it/);
  });
});
