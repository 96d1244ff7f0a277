import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { availableParallelism, cpus, totalmem } from 'node:os';

export interface Machine {
  readonly cpu: string;
  readonly threads: number;
  /** Bytes. */
  readonly memory: number;
  /** As the driver tells: name, driver version and memory, a line for each; none where there is no GPU. */
  readonly gpus: readonly string[];
  /** What told of the GPUs. */
  readonly toldBy?: 'nvidia-smi' | '/proc/driver/nvidia';
}

/**
 * @param proc the folder that an NVIDIA driver's module keeps
 * @param smi NVIDIA's tool
 */
export function describeMachine(proc = '/proc/driver/nvidia', smi = 'nvidia-smi'): Machine {
  const machine = { cpu: cpus()[0]?.model.trim() ?? 'unknown', threads: availableParallelism(), memory: totalmem() };
  const query = ['--query-gpu=name,driver_version,memory.total', '--format=csv,noheader'];
  const { status, stdout } = spawnSync(smi, query, { encoding: 'utf8', timeout: 30_000 });
  if (status === 0) return { ...machine, gpus: lines(stdout), toldBy: 'nvidia-smi' };
  if (!existsSync(`${proc}/version`)) return { ...machine, gpus: [] };
  const driver = /\s(\d{3,}\.[\d.]+)\s/.exec(readFileSync(`${proc}/version`, 'utf8'))?.[1] ?? 'unknown';
  const folders = existsSync(`${proc}/gpus`) ? readdirSync(`${proc}/gpus`) : [];
  const names = folders.map(
    (folder) => /^Model:\s*(.+)$/m.exec(readFileSync(`${proc}/gpus/${folder}/information`, 'utf8'))?.[1] ?? folder,
  );
  return { ...machine, gpus: names.map((name) => `${name}, ${driver}`), toldBy: '/proc/driver/nvidia' };
}

const lines = (text: string) =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean);
