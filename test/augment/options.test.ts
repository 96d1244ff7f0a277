import { expect, test } from 'vitest';
import { AUGMENTATION_DEFAULTS, type AugmentationOptions, checkAugmentation } from '../../src/augment/index.ts';

test('what is left out has its default', () => {
  expect(checkAugmentation()).toEqual(AUGMENTATION_DEFAULTS);
  expect(checkAugmentation({ crop: { scale: [0.3, 1] }, colourJitter: { hue: 0.1 }, mixup: 0.2 })).toEqual({
    ...AUGMENTATION_DEFAULTS,
    crop: { scale: [0.3, 1], ratio: [3 / 4, 4 / 3] },
    colourJitter: { brightness: 0, contrast: 0, saturation: 0, hue: 0.1 },
    mixup: 0.2,
  });
});

test.each<[unknown, string]>([
  [{ flip: 1.5 }, 'flip: expected a number from 0 to 1, received 1.5.'],
  [{ flip: '0.5' }, 'flip: expected a number from 0 to 1, received 0.5.'],
  [{ erasing: -0.1 }, 'erasing: expected a number from 0 to 1, received -0.1.'],
  [{ mixup: Number.NaN }, 'mixup: expected a number from 0 up, received NaN.'],
  [{ cutmix: Number.POSITIVE_INFINITY }, 'cutmix: expected a number from 0 up, received Infinity.'],
  [{ policy: 'auto' }, 'policy: expected one of none, trivial, rand, received auto.'],
  [{ crop: 'random' }, "crop: expected 'resize-crop' or { scale, ratio }, received random."],
  [{ crop: { scale: [0, 1] } }, 'crop.scale: expected two rising numbers above 0 and at most 1, received [0,1].'],
  [
    { crop: { scale: [0.9, 0.5] } },
    'crop.scale: expected two rising numbers above 0 and at most 1, received [0.9,0.5].',
  ],
  [{ crop: { ratio: 1 } }, 'crop.ratio: expected two rising numbers above 0 and at most 100, received 1.'],
  [{ crop: { size: 3 } }, 'crop: expected only scale, ratio, received size.'],
  [{ colourJitter: { hue: 0.6 } }, 'colourJitter.hue: expected a number from 0 to 0.5, received 0.6.'],
  [
    { colourJitter: { colour: 1 } },
    'colourJitter: expected only brightness, contrast, saturation, hue, received colour.',
  ],
  [
    { colorJitter: {} },
    'augmentation: expected only crop, flip, colourJitter, policy, erasing, mixup, cutmix, received colorJitter.',
  ],
])('%j is refused', (options, message) => {
  expect(() => checkAugmentation(options as AugmentationOptions)).toThrow(
    expect.objectContaining({ name: 'OrtuneError', code: 'AUGMENT_OPTION', message }),
  );
});
