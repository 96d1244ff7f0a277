import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { decodeModel, type Model } from '../../onnx/index.ts';
import { OrtuneError } from '../errors.ts';

/** Bytes hashed at a time, so that a large file holds nobody up. */
const STRETCH = 2 ** 20;

/** SHA-256 of a file in pieces, in lower-case hex. */
export async function sha256Of(pieces: Iterable<Uint8Array>): Promise<string> {
  const hash = createHash('sha256');
  for (const piece of pieces) {
    for (let start = 0; start < piece.length; start += STRETCH) {
      hash.update(piece.subarray(start, start + STRETCH));
      await nextTurn();
    }
  }
  return hash.digest('hex');
}

/**
 * What is wrong with a model's file where its bytes are not those that were written, by the checksum in `run.json` of its
 * folder or in an export's own record. Nothing where neither has one.
 */
export async function defectOf(file: string, bytes: Uint8Array): Promise<string | undefined> {
  const recorded = await recordedDigest(file);
  if (recorded === undefined) return undefined;
  const found = await sha256Of([bytes]);
  if (found === recorded) return undefined;
  return (
    `expected the file as it was written (sha256 ${recorded}), found ${bytes.byteLength} bytes of another (sha256 ${found}): it is damaged or was replaced. ` +
    'Take it from a copy, or make it anew; one that was replaced on purpose needs another name.'
  );
}

/**
 * Reads a model that ortune wrote.
 *
 * @throws OrtuneError `MODEL_INVALID` for a damaged one, `ONNX_INVALID` for another file; the system's error
 */
export async function readModelFile(file: string): Promise<{ readonly model: Model; readonly bytes: number }> {
  const contents = await readFile(file);
  const defect = await defectOf(file, contents);
  if (defect !== undefined) throw new OrtuneError('MODEL_INVALID', `${file}: ${defect}`);
  try {
    return { model: decodeModel(contents), bytes: contents.byteLength };
  } catch (error) {
    throw error instanceof OrtuneError ? new OrtuneError(error.code, `${file}: ${error.message}`) : error;
  }
}

interface FileRecord {
  readonly file?: unknown;
  readonly sha256?: unknown;
  readonly files?: Readonly<Record<string, { readonly sha256?: unknown }>>;
}

async function recordedDigest(file: string): Promise<string | undefined> {
  const name = basename(file);
  const run = await readRecord(join(dirname(file), 'run.json'));
  const own = await readRecord(file.replace(/(\.onnx)?$/, '.json'));
  const isOwn = typeof own.file === 'string' && basename(own.file) === name;
  const { sha256 } = run.files?.[name] ?? (isOwn ? own : {});
  return typeof sha256 === 'string' ? sha256 : undefined;
}

async function readRecord(file: string): Promise<FileRecord> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) ?? {};
  } catch {
    return {};
  }
}
