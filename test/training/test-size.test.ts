import { describe, expect, it } from 'vitest';
import { checkTestSizes, type Side, sideOf, type TestSizes, testTransformOf } from '../../src/training/test-size.ts';

describe('a test is of', () => {
  it.each([
    ["the network's square, of the usual 256 to 224", 224, {}, [224, 256]],
    ['another square', 128, { testSize: 160 }, [160, 183]],
    ['the whole short side', 128, { testSize: 160, testResize: 160 }, [160, 160]],
    ["a share of the network's side", 128, { testSize: '125%' }, [160, 183]],
    ['a share, rounded to a multiple of 32', 224, { testSize: '125%' }, [288, 329]],
    ['a share, and the whole short side', 224, { testSize: '125%', testResize: '125%' }, [288, 288]],
    ['a share of a small network, 32 at least', 32, { testSize: '10%' }, [32, 37]],
    ["the network's square of a larger picture", 128, { testResize: '150%' }, [128, 192]],
  ] as const)('%s', (_, imageSize, options, [size, resize]) => {
    expect(() => checkTestSizes(options)).not.toThrow();
    expect(testTransformOf(imageSize, options)).toEqual({ imageSize: size, resizeSize: resize });
  });
});

describe('a test refuses', () => {
  it.each([
    ['a square that is no multiple of 32', { testSize: 100 }, 'test-size: expected a multiple of 32 from 32 to 1024'],
    ['a square that is too large', { testSize: 1056 }, 'received 1056'],
    ['no share', { testSize: '0%' }, 'or a share'],
    ['a word', { testSize: sideOf('large') }, 'received large'],
    [
      'part of a pixel',
      { testResize: sideOf('99.5') },
      'test-resize: expected a whole number of pixels from 32 to 4096',
    ],
  ] satisfies [string, TestSizes, string][])('%s', (_, options, message) => {
    expect(() => checkTestSizes(options)).toThrow(message);
  });

  it('a square that does not fit in the picture', () => {
    expect(() => testTransformOf(128, { testSize: 160, testResize: '110%' })).toThrow(
      "expected a short side that the test's square of 160 fits in, received 110%",
    );
  });
});

it('sides are typed as pixels or as a share', () => {
  expect(['160', '125%'].map(sideOf)).toEqual([160, '125%'] satisfies Side[]);
});
