import { readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { digestFile } from '../digest-file.ts';
import { makeFolder, syncFile, syncFolder, writeSynced } from '../write-files.ts';

/** Lists the other files of a record with their sizes and checksums; written last. */
const MANIFEST = 'manifest.json';
/** A record on its way in, and one on its way out. */
const [NEW, OLD] = ['.new', '.old'] as const;
/** Records that are kept: the newest, and the one before should that be damaged. */
const KEPT = 2;

const manifestFile = z.record(z.string(), z.object({ bytes: z.number(), sha256: z.string() }));
type Entry = z.infer<typeof manifestFile>[string];

/** A record that is whole. */
export interface StoredRecord {
  readonly folder: string;
  readonly number: number;
}

/**
 * Writes a record, a folder of files, so that it is there whole or not at all: beside its place, synced and renamed. Then
 * removes all but the newest few.
 *
 * @param folder of the records
 * @param write makes the files, by their paths; those given as bytes are written as they are
 */
export async function writeRecord(
  folder: string,
  number: number,
  files: Readonly<Record<string, Uint8Array | ((path: string) => Promise<void>)>>,
): Promise<void> {
  // One name, as one run at a time has the folder: what a killed one left goes.
  const staging = join(folder, NEW);
  await rm(staging, { recursive: true, force: true });
  await makeFolder(staging);
  try {
    const manifest: Record<string, Entry> = {};
    for (const [name, content] of Object.entries(files)) {
      const path = join(staging, name);
      if (typeof content === 'function') {
        await content(path);
        await syncFile(path);
      } else {
        await writeSynced(path, content);
      }
      manifest[name] = await digestFile(path, ['sha256']);
    }
    await writeSynced(join(staging, MANIFEST), Buffer.from(JSON.stringify(manifest)));
    await syncFolder(staging);
    await rename(staging, join(folder, nameOf(number)));
    await syncFolder(folder);
  } catch (error) {
    await rm(staging, { recursive: true, force: true }).catch(() => {});
    throw error;
  }
  await keepNewest(folder, KEPT);
}

/** Removes all records but the newest few. */
export async function keepNewest(folder: string, kept: number): Promise<void> {
  for (const number of (await numbersOf(folder)).slice(kept)) await removeRecord(folder, number);
  await removeAbandoned(folder);
}

/** Removes a record as a whole: it is never left half. */
export async function removeRecord(folder: string, number: number): Promise<void> {
  await removeAbandoned(folder);
  await rename(join(folder, nameOf(number)), join(folder, OLD));
  await removeAbandoned(folder);
}

/** What a killed run left half written, or half removed. */
export async function removeAbandoned(folder: string): Promise<void> {
  for (const name of [NEW, OLD]) await rm(join(folder, name), { recursive: true, force: true });
}

/**
 * The newest record that is whole.
 *
 * @param onDamaged is told of each newer one that is not, and why
 * @param below number of one that is too new, as are those after it
 */
export async function newestRecord(
  folder: string,
  onDamaged: (folder: string, reason: string) => void,
  below = Number.POSITIVE_INFINITY,
): Promise<StoredRecord | undefined> {
  for (const number of await numbersOf(folder)) {
    if (number >= below) continue;
    const found = join(folder, nameOf(number));
    const reason = await defectOf(found);
    if (reason === undefined) return { folder: found, number };
    onDamaged(found, reason);
  }
  return undefined;
}

/** Numbers of the records, the newest first. */
export async function numbersOf(folder: string): Promise<number[]> {
  const names = await readdir(folder).catch(() => []);
  return names.flatMap((name) => (/^\d{6,}$/.test(name) ? [Number(name)] : [])).sort((a, b) => b - a);
}

const nameOf = (number: number) => String(number).padStart(6, '0');

async function defectOf(folder: string): Promise<string | undefined> {
  let manifest: Record<string, Entry>;
  try {
    manifest = manifestFile.parse(JSON.parse(await readFile(join(folder, MANIFEST), 'utf8')));
  } catch (error) {
    return `${MANIFEST} cannot be read: ${(error as Error).message}`;
  }
  for (const [name, { bytes, sha256 }] of Object.entries(manifest)) {
    const path = join(folder, basename(name));
    const found = await stat(path).catch(() => undefined);
    if (found?.size !== bytes) return `${name} has ${found ? `${found.size} bytes` : 'gone'}, expected ${bytes} bytes`;
    if ((await digestFile(path, ['sha256'])).sha256 !== sha256) return `the checksum of ${name} does not agree`;
  }
  return undefined;
}
