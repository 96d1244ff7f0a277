/** Folders of native/runtime: filled from Maven with files that are pinned by checksum, complete or not there at all. */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from './command.mjs';
import { SetupError } from './errors.mjs';
import { readJson, replaceFolder, sha256File, temporarySibling, writeJson } from './files.mjs';
import { home, runtimeFolder } from './paths.mjs';
import { networkHint } from './remedies.mjs';

/**
 * @typedef {{ library: string, version: string, source: string, origin: unknown,
 *   files: Record<string, { size: number, sha256: string }> }} Manifest
 *   a folder's `manifest.json`: `library` is the file to load, `origin` what the folder was made from (the pinned checksums, or the
 *   user's file), `files` what lies there since, checksums after the change of the SONAME
 */

/** A fixed plugin version: Maven's default changes from release to release. */
const unpackGoal = 'org.apache.maven.plugins:maven-dependency-plugin:3.6.1:unpack';

/** @param {string} name of a folder in native/runtime @returns {Manifest | undefined} */
export const readManifest = (name) => readJson(join(runtimeFolder, name, 'manifest.json'));

/** Whether the files that the manifest lists lie there, by size. @param {string} name @param {Manifest} manifest */
export const isComplete = (name, manifest) =>
  Object.entries(manifest.files).every(
    ([file, { size }]) => statSync(join(runtimeFolder, name, file), { throwIfNoEntry: false })?.size === size,
  );

/** The files that are missing or not what they were when they came. @param {string} name @param {Manifest['files']} files */
export const damagedFiles = (name, files) =>
  Object.keys(files).filter((file) => {
    const path = join(runtimeFolder, name, file);
    return !existsSync(path) || sha256File(path) !== files[file]?.sha256;
  });

/**
 * Fills a folder beside its place, writes its manifest, and puts it there.
 * @param {string} name
 * @param {(work: string) => Promise<Omit<Manifest, 'files'>>} fill puts the files into `work`
 */
export async function makeFolder(name, fill) {
  const folder = join(runtimeFolder, name);
  const work = temporarySibling(folder);
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  try {
    const about = await fill(work);
    writeJson(join(work, 'manifest.json'), { ...about, files: listFiles(work) });
    replaceFolder(work, folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/**
 * Has Maven unpack the pinned files of a jar, and compares their checksums.
 * @param {string} artifact `group:name:version`
 * @param {string} variant the jar's classifier
 * @param {Record<string, string>} files SHA-256 of each by name
 * @param {string} work an empty folder
 */
export async function unpackPinned(artifact, variant, files, work) {
  // Maven leaves markers where it runs, and a pom.xml there would come in: a folder of its own, deleted afterwards.
  const maven = join(work, 'maven');
  mkdirSync(maven);
  const includes = Object.keys(files).map((name) => `**/${name}`);
  const args = [
    '-B',
    '-Dstyle.color=never',
    unpackGoal,
    `-Dartifact=${artifact}:jar:${variant}`,
    `-DoutputDirectory=${maven}`,
  ];
  const proxy = 'MAVEN_OPTS="-Dhttps.proxyHost=HOST -Dhttps.proxyPort=PORT" npx ortune setup';
  await runCommand('mvn', [...args, `-Dmdep.unpack.includes=${includes.join(',')}`], {
    cwd: maven,
    hint: (output) => networkHint(output, proxy, home),
  });
  // The jars keep their libraries at org/bytedeco/NAME/VARIANT.
  const [group = '', name = ''] = artifact.split(':');
  const place = join(...group.split('.'), name);
  for (const [file, expected] of Object.entries(files)) {
    const path = join(maven, place, variant, file);
    const sha256 = existsSync(path) ? sha256File(path) : 'no such file';
    if (sha256 !== expected) {
      throw new SetupError(
        `${file} of ${artifact}:jar:${variant} is not the pinned one: expected SHA-256 ${expected}, got ${sha256}. ` +
          `Delete ${place} in your local Maven repository (~/.m2/repository) and run setup again.`,
      );
    }
    renameSync(path, join(work, file));
  }
  rmSync(maven, { recursive: true });
}

/** @param {string} folder @returns {Manifest['files']} */
function listFiles(folder) {
  const names = readdirSync(folder);
  return Object.fromEntries(
    names.map((name) => [name, { size: statSync(join(folder, name)).size, sha256: sha256File(join(folder, name)) }]),
  );
}
