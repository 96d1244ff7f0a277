/** Starts processes that read damaged files, and watches what becomes of them. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** Inputs `from`, `from + step`, ... below `to` of a target. */
export interface Piece {
  readonly target: string;
  readonly from: number;
  readonly to: number;
  readonly step: number;
}

export interface Finding {
  readonly target: string;
  readonly index: number;
  readonly fault: string;
  readonly base64?: string;
}

export interface Tally {
  readonly target: string;
  /** How inputs ended: `read`, or the error's code. */
  readonly outcomes: Readonly<Record<string, number>>;
  readonly seconds: number;
}

const WORKER = fileURLToPath(new URL('worker.ts', import.meta.url));
/** Milliseconds after which an input that has not ended never will. An input's own work is measured, and may take far less. */
const DEADLINE_MS = 60_000;
/** A folder of Linux where nothing waits for a disk. */
const IN_MEMORY = '/dev/shm';
const MOST_FINDINGS = 20;

/** Writes outside its folder are denied by Node itself. */
function argumentsOf(folder: string): string[] {
  const permission = process.allowedNodeEnvironmentFlags.has('--permission')
    ? '--permission'
    : '--experimental-permission';
  const may = [
    '--allow-fs-read=*',
    `--allow-fs-write=${folder}`,
    '--allow-child-process',
    '--allow-worker',
    '--allow-addons',
  ];
  return ['--no-warnings', '--max-old-space-size=512', permission, ...may, '--import', 'tsx', WORKER];
}

/** Reads pieces in as many processes as need be: one that dies or hangs is a finding, and the next goes on after its input. */
export async function fuzz(
  pieces: readonly Piece[],
  seed: number,
  tell: (message: Finding | Tally) => void,
): Promise<void> {
  const folder = mkdtempSync(join(existsSync(IN_MEMORY) ? IN_MEMORY : tmpdir(), 'ortune-fuzz-'));
  let findings = 0;
  try {
    let left = pieces;
    while (left.length > 0 && findings < MOST_FINDINGS) {
      const { end, at } = await readPieces(folder, left, seed, (message) => {
        if ('fault' in message) findings++;
        tell(message);
      });
      if (end === undefined) return;
      const [number, index] = at;
      const piece = left[number]!;
      findings++;
      tell({ target: piece.target, index, fault: end });
      left = [{ ...piece, from: index + piece.step }, ...left.slice(number + 1)];
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function readPieces(
  folder: string,
  pieces: readonly Piece[],
  seed: number,
  tell: (message: Finding | Tally) => void,
): Promise<{ end: string | undefined; at: [number: number, index: number] }> {
  // Number of the piece, and of the input that is being read.
  const placeFile = join(folder, 'at');
  const start = Buffer.alloc(8);
  start.writeUInt32LE(pieces[0]!.from, 4);
  writeFileSync(placeFile, start);
  // tsx keeps what it compiles there.
  const temporary = join(folder, 'tmp');
  mkdirSync(temporary, { recursive: true });
  const env = { ...process.env, TMPDIR: temporary };
  const worker = spawn(process.execPath, [...argumentsOf(folder), folder, String(seed), JSON.stringify(pieces)], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const at = (): [number, number] => {
    const place = readFileSync(placeFile);
    return [place.readUInt32LE(0), place.readUInt32LE(4)];
  };
  let errors = '';
  worker.stderr.on('data', (chunk) => {
    errors = (errors + chunk).slice(-4000);
  });
  let tallies = 0;
  createInterface({ input: worker.stdout }).on('line', (line) => {
    const message = JSON.parse(line) as Finding | Tally;
    if ('outcomes' in message) tallies++;
    tell(message);
  });
  let [last, since, hung] = ['', performance.now(), false];
  const watch = setInterval(() => {
    const now = String(at());
    if (now !== last) [last, since] = [now, performance.now()];
    else if (performance.now() - since > DEADLINE_MS) {
      hung = true;
      worker.kill('SIGKILL');
    }
  }, 500);
  const code = await new Promise<number | NodeJS.Signals | null>((resolve) => {
    worker.on('close', (code, signal) => resolve(code ?? signal));
  });
  clearInterval(watch);
  if (code === 0 && tallies === pieces.length) return { end: undefined, at: [0, 0] };
  const end = hung
    ? 'it did not end'
    : code === 13
      ? 'it waits for what never comes'
      : `the process ended (${code}): ${errors}`;
  return { end, at: at() };
}
