/**
 * Where this machine keeps CUDA's libraries. The dynamic linker knows of some folders only; toolkits that were unpacked by hand,
 * containers and PyTorch have theirs elsewhere.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/**
 * @typedef {{ name: string, folder?: string, byLinker: boolean, otherVersions: string[] }} FoundLibrary
 *   `folder` is absent where the library was not found; `byLinker`: the linker finds it by itself;
 *   `otherVersions` are files of the same library that were found instead
 * @typedef {{ root: string, env: Record<string, string | undefined>, own: string, linkerFolders: () => Map<string, string>,
 *   pythonFolders: () => string[] }} Places `root` is prefixed to absolute paths, for tests
 */

/** cuDNN opens these by itself when a convolution needs them; without them some algorithms are missing. */
const HELPERS = ['libnvrtc.so.13', 'libnvJitLink.so.13'];

/**
 * @param {string[]} names such as `libcudart.so.13`
 * @param {Places} places
 * @returns {FoundLibrary[]} in the order of the names
 */
export function findLibraries(names, places) {
  const linker = places.linkerFolders();
  const fromEnvironment = (places.env['LD_LIBRARY_PATH'] ?? '').split(':').filter(Boolean);
  const elsewhere = [...new Set(likelyFolders(places))].filter((folder) => existsSync(folder));
  return names.map((name) => {
    const inEnvironment = fromEnvironment.find((folder) => existsSync(join(folder, name)));
    const byLinker = inEnvironment ?? linker.get(name);
    if (byLinker !== undefined) return { name, folder: byLinker, byLinker: true, otherVersions: [] };
    const folder = elsewhere.find((candidate) => existsSync(join(candidate, name)));
    if (folder !== undefined) return { name, folder, byLinker: false, otherVersions: [] };
    const stem = `${name.slice(0, name.indexOf('.so.'))}.so.`;
    const others = elsewhere.flatMap((candidate) =>
      readdirSync(candidate).flatMap((file) => (file.startsWith(stem) ? [join(candidate, file)] : [])),
    );
    const known = [...linker].flatMap(([file, place]) => (file.startsWith(stem) ? [join(place, file)] : []));
    return { name, byLinker: false, otherVersions: [...new Set([...known, ...others])] };
  });
}

/** Value of LD_LIBRARY_PATH by which all that was found is found again. @param {FoundLibrary[]} found @param {string | undefined} given */
export function libraryPath(found, given) {
  const added = found.flatMap(({ folder, byLinker }) => (folder === undefined || byLinker ? [] : [folder]));
  return [...new Set([...(given ?? '').split(':').filter(Boolean), ...added])].join(':');
}

/** The libraries that the CUDA provider needs, and those that it may. @param {{ cuda: { products: { libraries: string[] }[] } }} runtime */
export function wantedLibraries({ cuda }) {
  const needed = cuda.products.flatMap(({ libraries }) => libraries);
  return { needed, helpers: HELPERS };
}

/** Best first. @param {Places} places */
function likelyFolders({ root, env, own, pythonFolders }) {
  const absolute = (/** @type {string} */ folder) => join(root, folder);
  const toolkits = [
    ...[env['CUDA_HOME'], env['CUDA_PATH'], env['CONDA_PREFIX']].filter((folder) => folder !== undefined),
    ...matching(absolute('/usr/local'), /^cuda/),
    ...matching(absolute('/opt'), /^(cuda|conda|miniconda|anaconda)/),
  ];
  const sites = [
    ...pythonFolders(),
    ...[
      env['VIRTUAL_ENV'],
      env['CONDA_PREFIX'],
      ...matching(absolute('/opt'), /./),
      absolute('/usr/local'),
      absolute('/usr'),
    ]
      .filter((folder) => folder !== undefined)
      .flatMap((folder) => [join(folder, 'lib'), join(folder, 'local/lib')])
      .concat(env['HOME'] === undefined ? [] : join(env['HOME'], '.local/lib'))
      .flatMap((folder) => matching(folder, /^python3/))
      .flatMap((folder) => [join(folder, 'site-packages'), join(folder, 'dist-packages')]),
  ];
  return [
    own,
    ...toolkits.flatMap((folder) => [
      join(folder, 'lib64'),
      join(folder, 'targets/x86_64-linux/lib'),
      join(folder, 'lib'),
      join(folder, 'compat'),
    ]),
    // As the `nvidia-*` packages bring them, on which PyTorch depends: nvidia/cudnn/lib, nvidia/cu13/lib.
    ...sites.flatMap((site) => matching(join(site, 'nvidia'), /./)).map((folder) => join(folder, 'lib')),
    // Drivers that a container or WSL brings in.
    ...['/usr/local/nvidia/lib64', '/usr/lib/wsl/lib', '/usr/lib/x86_64-linux-gnu', '/usr/lib64'].map(absolute),
  ];
}

/** The folder's entries, newest name first: cuda-13.1 before cuda-13.0. @param {string} folder @param {RegExp} pattern */
function matching(folder, pattern) {
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder).filter((name) => pattern.test(name));
  return names.sort((a, b) => b.localeCompare(a, 'en', { numeric: true })).map((name) => join(folder, name));
}

/** What the linker's own list says: folders by file. */
export function askLinker() {
  for (const command of ['ldconfig', '/sbin/ldconfig']) {
    const { status, stdout } = spawnSync(command, ['-p'], { encoding: 'utf8' });
    if (status !== 0) continue;
    const lines = stdout.split('\n').map((line) => /^\s*(\S+) .*=> (.*)\/[^/]+$/.exec(line));
    return new Map(lines.flatMap((match) => (match ? [/** @type {[string, string]} */ ([match[1], match[2]])] : [])));
  }
  return new Map();
}

/** Where the Python on PATH, if there is one, has its packages. */
export function askPython() {
  const program = 'import sys; print("\\n".join(path for path in sys.path if path.endswith("-packages")))';
  const { status, stdout } = spawnSync('python3', ['-c', program], { encoding: 'utf8', timeout: 30_000 });
  return status === 0 ? stdout.split('\n').filter(Boolean) : [];
}
