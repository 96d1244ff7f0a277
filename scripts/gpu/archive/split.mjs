/** Cuts a file into numbered parts that `cat` joins again. */
import { closeSync, openSync, readSync, renameSync, statSync, writeSync } from 'node:fs';
import { SetupError } from '../../setup/errors.mjs';
import { temporarySibling } from '../../setup/files.mjs';

const UNITS = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 };
const PIECE = 2 ** 20;

/** Bytes of `60M`. @param {string} text */
export function parseSize(text) {
  const match = /^(\d+)([KMG]?)$/.exec(text);
  const bytes = match ? Number(match[1]) * UNITS[/** @type {keyof typeof UNITS} */ (match[2])] : 0;
  if (!(bytes > 0)) throw new SetupError(`--split ${text}: expected a size such as 60M (K, M, G: powers of 1024)`);
  return bytes;
}

/**
 * Writes `<file>.00`, `<file>.01`, ... each whole or not at all.
 * @param {string} file @param {number} size bytes of each part, but the last
 * @returns {string[]} the parts
 */
export function splitFile(file, size) {
  const total = statSync(file).size;
  const count = Math.max(1, Math.ceil(total / size));
  // As many digits for all: the shell sorts names as text.
  const digits = Math.max(2, String(count - 1).length);
  const source = openSync(file, 'r');
  try {
    return Array.from({ length: count }, (_, index) => {
      const part = `${file}.${String(index).padStart(digits, '0')}`;
      copyPart(source, index * size, Math.min(size, total - index * size), part);
      return part;
    });
  } finally {
    closeSync(source);
  }
}

/** @param {number} source @param {number} from @param {number} length @param {string} part */
function copyPart(source, from, length, part) {
  const temporary = temporarySibling(part);
  const target = openSync(temporary, 'w');
  try {
    const piece = Buffer.allocUnsafe(PIECE);
    for (let done = 0; done < length; ) {
      const read = readSync(source, piece, 0, Math.min(PIECE, length - done), from + done);
      writeSync(target, piece, 0, read);
      done += read;
    }
  } finally {
    closeSync(target);
  }
  renameSync(temporary, part);
}
