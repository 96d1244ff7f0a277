import { expect, it } from 'vitest';
import { crc32c, maskedCrc32c } from '../../src/tensorboard/crc32c.ts';

const bytes = (text: string) => new TextEncoder().encode(text);

// RFC 3720, appendix B.4, and the check value of the catalogues.
it.each([
  ['zeros', new Uint8Array(32), 0x8a9136aa],
  ['ones', new Uint8Array(32).fill(0xff), 0x62a8ab43],
  ['rising', Uint8Array.from({ length: 32 }, (_, index) => index), 0x46dd794e],
  ['falling', Uint8Array.from({ length: 32 }, (_, index) => 31 - index), 0x113fdb5c],
  ['digits', bytes('123456789'), 0xe3069283],
  ['nothing', new Uint8Array(0), 0],
])('the checksum of %s', (_name, data, expected) => {
  expect(crc32c(data)).toBe(expected);
});

it('is masked as in every TFRecord file of events', () => {
  // Length (24) and its checksum, as TensorFlow's own files begin with.
  const length = Buffer.from('1800000000000000', 'hex');
  expect(maskedCrc32c(length)).toBe(Buffer.from('a37f4b22', 'hex').readUInt32LE());
});
