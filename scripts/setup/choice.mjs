/** Which training library and which oneDNN this machine gets, and why. */

import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { SetupError } from './errors.mjs';
import { platformProblem } from './remedies.mjs';

/**
 * @typedef {{ platform: string, device: 'cpu' | 'cuda', files: Record<string, string> }} Variant
 * @typedef {{ version: string, artifact: string, variants: Record<string, Variant>,
 *   oneDNN: { version: string, artifact: string, variants: Record<string, { platform: string, files: Record<string, string> }> },
 *   cuda: import('./cuda.mjs').CudaRequirements }} Runtime `native/runtime.json`
 * @typedef {'auto' | 'cpu' | 'cuda' | 'custom'} Wish
 * @typedef {{ wish: Wish, variant: string, reason: string, library?: string }} Choice
 *   `variant` names the folder in native/runtime; `library` is the user's own file, if one was asked for
 * @typedef {{ variant: string } | { absent: 'off' | 'unavailable', reason: string }} KernelChoice
 */

/**
 * The NVIDIA driver, found without its tools: its kernel module, else its library (WSL and containers have only that).
 * @returns {{ found: string, version?: string } | undefined}
 */
export function findNvidiaDriver() {
  const module = '/proc/driver/nvidia/version';
  if (existsSync(module)) {
    const version = /\s(\d{3,}\.[\d.]+)\s/.exec(readFileSync(module, 'utf8'))?.[1];
    return version === undefined ? { found: module } : { found: module, version };
  }
  const name = 'libcuda.so.1';
  const folders = [
    '/usr/lib/x86_64-linux-gnu',
    '/usr/lib/aarch64-linux-gnu',
    '/usr/lib64',
    '/usr/lib',
    '/usr/lib/wsl/lib',
  ];
  const places = [...(process.env['LD_LIBRARY_PATH'] ?? '').split(':').filter(Boolean), ...folders];
  const place = places.find((folder) => existsSync(`${folder}/${name}`));
  if (place !== undefined) return { found: `${place}/${name}` };
  for (const ldconfig of ['ldconfig', '/sbin/ldconfig']) {
    const listed = spawnSync(ldconfig, ['-p'], { encoding: 'utf8' })
      .stdout?.split('\n')
      .find((line) => line.includes(name));
    if (listed !== undefined) return { found: listed.split('=> ')[1] ?? name };
  }
  return undefined;
}

/**
 * Chooses among the pinned libraries and the user's own. What was asked for once (`--cpu`, `--cuda`, a library of one's own)
 * stays until something else is asked for: `npm run finetune` runs setup too, without any of it.
 * @param {object} from
 * @param {Runtime} from.runtime
 * @param {string} from.platform such as `linux-x64`
 * @param {'cpu' | 'cuda' | undefined} from.flag
 * @param {string | undefined} from.library the value of ORTUNE_ORT_LIBRARY
 * @param {{ wish?: Wish, source?: string } | undefined} from.current the last setup's choice
 * @param {() => { found: string, version?: string } | undefined} from.findDriver
 * @returns {Choice}
 */
export function chooseLibrary({ runtime, platform, flag, library, current, findDriver }) {
  if (library) {
    if (flag) {
      throw new SetupError(
        `--${flag} asks for the pinned library, ORTUNE_ORT_LIBRARY=${library} for that one: leave one of them out.`,
      );
    }
    return { wish: 'custom', variant: 'custom', library: resolve(library), reason: `ORTUNE_ORT_LIBRARY=${library}` };
  }
  if (!flag && current?.wish === 'custom' && current.source) {
    const reason = `as ORTUNE_ORT_LIBRARY=${current.source} asked; --cpu or --cuda undo it`;
    return { wish: 'custom', variant: 'custom', library: current.source, reason };
  }
  /** @param {'cpu' | 'cuda'} device */
  const variantFor = (device) =>
    Object.keys(runtime.variants).find(
      (name) => runtime.variants[name]?.platform === platform && runtime.variants[name].device === device,
    );

  const cpu = variantFor('cpu');
  if (cpu === undefined) {
    const [os = '', arch = ''] = platform.split('-');
    throw new SetupError(platformProblem({ platform: os, arch }) ?? `no training library is pinned for ${platform}`);
  }
  const cuda = variantFor('cuda');
  const remembered = current?.wish === 'cpu' || current?.wish === 'cuda' ? current.wish : undefined;
  const wish = flag ?? remembered ?? 'auto';
  if (wish === 'cpu') return { wish, variant: cpu, reason: 'CPU, as --cpu asked' };
  if (wish === 'cuda') {
    if (cuda === undefined)
      throw new SetupError(`there is no pinned CUDA library for ${platform}. Leave --cuda out to train on the CPU.`);
    return { wish, variant: cuda, reason: 'CUDA, as --cuda asked' };
  }
  const driver = findDriver();
  if (driver === undefined) return { wish, variant: cpu, reason: 'CPU, as no NVIDIA driver was found' };
  const named = driver.version === undefined ? `an NVIDIA driver (${driver.found})` : `NVIDIA driver ${driver.version}`;
  if (cuda === undefined)
    return { wish, variant: cpu, reason: `CPU: ${named} was found, but no CUDA library is pinned for ${platform}` };
  return { wish, variant: cuda, reason: `CUDA, as ${named} was found` };
}

/**
 * oneDNN is optional: it goes with the platform, whatever the training library, unless it is not wanted. That is remembered, too.
 * @param {object} from
 * @param {Runtime} from.runtime
 * @param {string} from.platform such as `linux-x64`
 * @param {string | undefined} from.wanted the value of ORTUNE_ONEDNN: `0` or `1`
 * @param {{ absent?: string } | undefined} from.current the last setup's `kernels`
 * @returns {KernelChoice}
 */
export function chooseKernels({ runtime, platform, wanted, current }) {
  if (wanted && wanted !== '0' && wanted !== '1') {
    throw new SetupError(`ORTUNE_ONEDNN: expected 0 (leave oneDNN out) or 1 (take it), received ${wanted}`);
  }
  if (wanted === '0') return { absent: 'off', reason: 'left out, as ORTUNE_ONEDNN=0 asks' };
  if (!wanted && current?.absent === 'off') {
    return { absent: 'off', reason: 'left out, as ORTUNE_ONEDNN=0 asked; ORTUNE_ONEDNN=1 undoes it' };
  }
  const { variants } = runtime.oneDNN;
  const variant = Object.keys(variants).find((name) => variants[name]?.platform === platform);
  if (variant === undefined) return { absent: 'unavailable', reason: `none is pinned for ${platform}` };
  return { variant };
}
