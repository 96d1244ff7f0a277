/**
 * Gives the training library a SONAME of its own. onnxruntime-node brings a library under the SONAME `libonnxruntime.so.1`; the
 * dynamic linker would take the one that is loaded first for both, and the process would crash or train with the wrong
 * one. The new name has the old one's length, so the file's layout stays as it is and no linker tool is needed.
 */
import { SetupError } from './errors.mjs';

const original = 'libonnxruntime.so';
const own = 'libort_trainer.so';

/**
 * Offsets of the zero-terminated strings `libonnxruntime.so`, `libonnxruntime.so.1`, `libonnxruntime.so.1.24.1`, ...
 * @param {Buffer} bytes a shared library
 * @returns {{ offset: number, name: string }[]}
 */
export function findSonames(bytes) {
  const found = [];
  for (let offset = bytes.indexOf(original); offset !== -1; offset = bytes.indexOf(original, offset + 1)) {
    const text = bytes.toString('latin1', offset, offset + 64);
    const match = /^libonnxruntime\.so(?:\.\d+)*(?=\0)/.exec(text);
    if (match) found.push({ offset, name: match[0] });
  }
  return found;
}

/**
 * Replaces the one SONAME in place: `libonnxruntime.so.1` becomes `libort_trainer.so.1`.
 * @param {Buffer} bytes
 * @param {string} path for the messages
 * @returns {string} the new SONAME
 */
export function replaceSoname(bytes, path) {
  const found = findSonames(bytes);
  const [only] = found;
  if (only === undefined || found.length > 1) {
    throw new SetupError(
      `${path}: expected the name ${original}.N exactly once, as the library's SONAME, but found it ${found.length} times. ` +
        `Without a SONAME of its own the library cannot live beside onnxruntime-node. ` +
        `For a build of your own, set it first: patchelf --set-soname ${own}.1 FILE.`,
    );
  }
  bytes.write(own, only.offset, 'latin1');
  return own + only.name.slice(original.length);
}
