/** What to do where ortune's native parts cannot work: by platform, and by what the dynamic linker says. */

/**
 * @typedef {{ platform: string, arch: string, libc?: 'glibc' | 'musl' }} Machine `libc` on Linux
 */

/** What the pinned libraries were linked against. */
const glibc = '2.34';
const systems = `Debian 12, Ubuntu 22.04, Fedora 35, RHEL 9 or newer (glibc ${glibc})`;
const container = 'Run it in a container: docker run -it -v "$PWD":/app -w /app node:22-bookworm bash';
const ownLibrary =
  'Bring an ONNX Runtime of your own, built with --enable_training_apis: ORTUNE_ORT_LIBRARY=/path/to/library npx ortune setup';

/** Not for every start: the report takes a while. @returns {Machine} */
export function thisMachine() {
  const { platform, arch } = process;
  if (platform !== 'linux') return { platform, arch };
  const report = /** @type {{ header: { glibcVersionRuntime?: string } }} */ (
    /** @type {unknown} */ (process.report.getReport())
  );
  return { platform, arch, libc: report.header.glibcVersionRuntime ? 'glibc' : 'musl' };
}

/** @param {string} problem @param {string[]} solutions */
export const withSolutions = (problem, solutions) =>
  `${problem}\nPossible solutions:\n${solutions.map((solution) => `  - ${solution}`).join('\n')}`;

/**
 * Why there is no training library for a machine, and what to do.
 * @param {Machine} machine
 * @returns {string | undefined} undefined where there is one
 */
export function platformProblem({ platform, arch, libc }) {
  if (platform === 'win32') {
    return withSolutions('ortune does not run on Windows itself, but in WSL 2, which is Linux.', [
      'In PowerShell: wsl --install, then in its shell, with Node installed there: npx ortune setup',
    ]);
  }
  if (platform !== 'linux' || (arch !== 'x64' && arch !== 'arm64')) {
    const problem = `there is no pinned training library for ${platform}-${arch} (there is for linux-x64, linux-arm64).`;
    return withSolutions(problem, platform === 'darwin' ? [container, ownLibrary] : [ownLibrary]);
  }
  if (libc === 'musl') {
    return withSolutions(`there is no training library for musl (Alpine); the pinned one needs glibc ${glibc}.`, [
      `In Docker, start from an image with glibc: FROM node:22-bookworm-slim`,
      container,
      ownLibrary,
    ]);
  }
  return undefined;
}

/**
 * For a command that reached for the network: what to do where it found none.
 * @param {string} output the command's
 * @param {string} proxy how it is told of a proxy
 * @param {string} home the folder that setup fills
 * @returns {string} '' where something else was wrong
 */
export function networkHint(output, proxy, home) {
  const unreachable =
    /UnknownHost|Unknown host|Could not transfer|Could not resolve|Connection refused|ECONNREFUSED|ENOTFOUND|ENOTCACHED|EAI_AGAIN|timed out|ETIMEDOUT|unreachable/i;
  if (!unreachable.test(output)) return '';
  return withSolutions('', [
    `Behind a proxy: ${proxy}`,
    `Without a network: run npx ortune setup on a machine of the same kind, and copy the folder ${home} here`,
  ]);
}

/**
 * What to do about a library or addon that the dynamic linker refuses.
 * @param {string} reason what the linker said
 * @returns {string[]}
 */
export function loadSolutions(reason) {
  const missing = /(lib[\w+.-]+): cannot open shared object file/.exec(reason)?.[1];
  if (/GLIBC_[\d.]+' not found/.test(reason)) return [`This system's C library is too old; use ${systems}`, container];
  if (/(GLIBCXX|CXXABI)_[\d.]+' not found/.test(reason)) {
    return [
      `This C++ library is too old. Debian, Ubuntu: apt install --only-upgrade libstdc++6; or use ${systems}`,
      'If an environment (conda, LD_LIBRARY_PATH) puts an older one first, start Node without it: env -u LD_LIBRARY_PATH npx ortune doctor',
    ];
  }
  if (missing !== undefined && /^lib(stdc\+\+|gcc_s|gomp)\./.test(missing)) {
    return [
      `${missing} is missing. Debian, Ubuntu: apt install libstdc++6 libgcc-s1 libgomp1; Fedora, RHEL: dnf install libstdc++ libgcc libgomp`,
    ];
  }
  if (missing !== undefined)
    return [`${missing} is missing: install the package that holds it, or add its folder to LD_LIBRARY_PATH`];
  if (/Error loading shared library|ld-linux/.test(reason))
    return ['This system has musl; use an image with glibc: FROM node:22-bookworm-slim'];
  if (/failed to map segment|Operation not permitted/.test(reason)) {
    return [
      'Its folder forbids programs (mounted noexec?); set up another: ORTUNE_HOME=/path/to/folder npx ortune setup, and set ORTUNE_HOME from then on',
    ];
  }
  return [];
}
