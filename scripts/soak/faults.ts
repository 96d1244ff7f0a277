/** What may befall a run, and what must be true of it then. Each works on a run in progress, and leaves one that goes on. */
import type { ChildProcess } from 'node:child_process';
import { copyFile, readdir, readFile, rename, rm, statfs, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { Random } from '../../src/random.ts';
import { commandLine, type Outcome, runProcess } from '../../test/cli/command.ts';
import { pick } from '../../test/fuzz/mutate.ts';
import type { Disk } from '../../test/mounts.ts';
import { snapshot } from '../../test/training/workshop.ts';
import { drawMoment, PHASES, type Phase, PROGRESS, type StageRun } from './stage-run.ts';
import { eventsOf, promise, type Trial } from './trial.ts';

interface Scene {
  readonly trial: Trial;
  /** That the results lie on, where mounting is permitted. */
  readonly disk: Disk | undefined;
  /** Folder of the pictures. */
  readonly data: string;
  readonly random: Random;
}

/** @returns what it came to, in a few words */
export type Fault = (scene: Scene) => Promise<string>;

/** Bytes of the disk: many times what a run takes. */
export const ROOM = 64_000_000;

/** The moment did not come. */
const DONE = 'done before';

/** While a run has its lock, and has not begun to save. */
const AT_WORK: readonly Phase[] = ['training', 'recording', 'testing'];

/** A moment soon after what was kept, so that a run bears several faults. */
function momentOf({ trial, random }: Scene, phases: readonly Phase[] = PHASES) {
  const { alone } = trial.job;
  const batches = eventsOf(alone, 'batch');
  const { pass = 0, batches: done = 0 } = trial.kept ?? {};
  const perPass = batches.filter((batch) => batch.pass === 0).length;
  const step = Math.min(batches.length - 2, pass * perPass + done + random.integer(4));
  return drawMoment(random, alone, pick(random, phases), step);
}

const killed: Fault = async (scene) => {
  const moment = momentOf(scene);
  const { code, disturbed } = await scene.trial.run({ moment, act: (child) => child.kill('SIGKILL') });
  if (scene.trial.done) return DONE;
  promise(code === 'SIGKILL', 'it ends by the signal', code);
  return `at ${disturbed}`;
};

const STOPS = { SIGINT: [130, 'Ctrl-C'], SIGTERM: [143, 'SIGTERM'] } as const;

const stopped: Fault = async (scene) => {
  const signal = pick(scene.random, ['SIGINT', 'SIGTERM'] as const);
  const moment = momentOf(scene);
  const { code, disturbed, stderr } = await scene.trial.run({ moment, act: (child) => child.kill(signal) });
  if (scene.trial.done) return DONE;
  // Nobody listens yet, or any more.
  if (code === signal && disturbed !== 'training') return `at ${disturbed}, by the system`;
  const [exit, by] = STOPS[signal];
  promise(code === exit, `${signal} exits with ${exit}`, { code, disturbed });
  const says = new RegExp(
    `^Error: stopped by ${by}; (the same command with --resume goes on from here|nothing was saved)`,
    'm',
  );
  promise(says.test(stderr), 'it says what became of the run', stderr);
  await isTidy(scene);
  return `at ${disturbed}`;
};

const stoppedTwice: Fault = async (scene) => {
  const signals = ['SIGINT', 'SIGTERM'] as const;
  const [first, second] = [pick(scene.random, signals), pick(scene.random, signals)];
  const pause = 30 * scene.random.uniform();
  const { code, disturbed } = await scene.trial.run({
    moment: momentOf(scene),
    act(child) {
      child.kill(first);
      setTimeout(() => child.kill(second), pause);
    },
  });
  if (scene.trial.done) return DONE;
  const expected: unknown[] = [STOPS[first][0], first, second];
  promise(expected.includes(code), 'it ends by one of the two', code);
  return `at ${disturbed}, ${typeof code === 'string' ? 'at once' : 'in order'}`;
};

const fullDisk: Fault = async (scene) => {
  const { trial, disk } = scene;
  let run: StageRun;
  // A killed run's lock can't be replaced where there is no room for another.
  const before = await trial.litter();
  if (disk) {
    run = await trial.run({
      moment: momentOf(scene),
      act: (child) => untilDone(child, async () => disk.resize(await usedOf(disk))),
    });
    disk.resize(ROOM);
  } else {
    // No file larger than 50 kB: neither model nor checkpoint.
    run = await trial.run(undefined, { shell: 'ulimit -f 100' });
  }
  if (trial.done) return DONE;
  refused(
    run,
    /cannot be written: (ENOSPC: .*The disk is full|EFBIG: .*lets no file grow so large)|\((ENOSPC|EFBIG)\)/,
  );
  await isTidy(scene, before);
  return run.disturbed ? `at ${run.disturbed}` : 'from the start';
};

async function usedOf({ path }: Disk): Promise<number> {
  const { bsize, blocks, bfree } = await statfs(path);
  return (blocks - bfree) * bsize;
}

const readOnlyDisk: Fault = async (scene) => {
  const { trial, disk } = scene;
  if (!disk) return 'mounting is not permitted here';
  const run = await trial.run({
    moment: momentOf(scene),
    act: (child) =>
      untilDone(child, () => {
        disk.writable = false;
      }),
  });
  disk.writable = true;
  if (trial.done) {
    // The result is in its place, but the lock of the process that has ended could not be removed any more.
    const left = [...(await trial.records()), ...(await trial.litter())];
    promise(
      left.every((name) => name === `${PROGRESS}/lock`),
      'nothing but a lock is left',
      left,
    );
    await rm(trial.results(PROGRESS), { recursive: true, force: true });
    return DONE;
  }
  refused(run, /EROFS/);
  return `at ${run.disturbed}`;
};

/** The system refuses while files grow, or are open. */
async function untilDone(child: ChildProcess, act: () => unknown): Promise<void> {
  while (child.exitCode === null) {
    try {
      return void (await act());
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }
}

const vanishedFolder: Fault = async (scene) => {
  const { trial } = scene;
  const gone = `${trial.results()}-gone`;
  const run = await trial.run({
    // Once the result is in its place it vanishes with the folder.
    moment: momentOf(scene, ['starting', 'preparing', 'training', 'recording', 'testing']),
    async act() {
      trial.hasOlder = false;
      trial.kept = undefined;
      await rename(trial.results(), gone);
    },
  });
  await rm(gone, { recursive: true, force: true });
  if (trial.done) return run.disturbed ? `at ${run.disturbed}, made again` : DONE;
  refused(run, /cannot be written: ENOENT|--resume: expected a run to go on with|expected a place to write to/);
  if ((await trial.records()).length === 0) trial.kept = undefined;
  await trial.putOlder();
  return `at ${run.disturbed}, refused`;
};

const DAMAGES: Record<string, (file: string, random: Random) => Promise<void>> = {
  'cut short': async (file, random) => truncate(file, Math.floor((await readFile(file)).length * random.uniform())),
  'a bit changed': async (file, random) => {
    const bytes = await readFile(file);
    bytes[random.integer(bytes.length)]! ^= 1 << random.integer(8);
    await writeFile(file, bytes);
  },
  gone: (file) => rm(file),
};

export async function damage(file: string, random: Random): Promise<string> {
  const kind = pick(random, Object.keys(DAMAGES));
  await DAMAGES[kind]!(file, random);
  return kind;
}

const damagedRecord: Fault = async (scene) => {
  const { trial, random } = scene;
  if (!(await hasRecord(scene))) return DONE;
  const names = await trial.records();
  const [before, newest] = [names.at(-2), names.at(-1)!];
  const folder = trial.results(PROGRESS, newest);
  const file = pick(random, (await readdir(folder)).sort());
  const kind = await damage(join(folder, file), random);
  const state = before && JSON.parse(await readFile(trial.results(PROGRESS, before, 'state.json'), 'utf8'));
  trial.kept = state?.record;
  // Where there is no other, the run says so and ends.
  const run = await trial.run(
    before === undefined ? undefined : { moment: momentOf(scene), act: (child) => child.kill('SIGTERM') },
  );
  const notes = eventsOf(run, 'note').map(({ text }) => text);
  const says = notes.some((text) => text.includes(`${newest} is damaged (`));
  promise(says || run.disturbed === 'starting' || run.disturbed === 'preparing', 'it says so', { file, kind, notes });
  return `${file} ${kind}, ${before ? 'one before' : 'no other'}`;
};

/** Goes on, if need be, until there is a record. @returns whether there is one */
async function hasRecord(scene: Scene): Promise<boolean> {
  const { trial } = scene;
  for (let attempt = 0; attempt < 5 && !trial.done; attempt++) {
    if ((await trial.records()).length > 0 && trial.kept) return true;
    await trial.run({ moment: momentOf(scene, AT_WORK), act: (child) => child.kill('SIGTERM') });
  }
  return false;
}

const secondRun: Fault = async (scene) => {
  const { trial, random } = scene;
  let second: Outcome | undefined;
  let pid: number | undefined;
  const args = [...trial.job.args, ...(random.integer(2) === 0 ? ['--resume'] : [])];
  const first = await trial.run({
    moment: momentOf(scene, AT_WORK),
    async act(child) {
      // It waits meanwhile, that it may not be done too soon.
      child.kill('SIGSTOP');
      pid = child.pid;
      second = await runProcess(trial.folder, commandLine(trial.job.command, args));
      child.kill('SIGTERM');
      child.kill('SIGCONT');
    },
  });
  if (!second) return DONE;
  refused(second, new RegExp(`expected no other run that writes to it, found one \\(process ${pid}, since `));
  promise(first.code === 143 || first.code === 0, 'the first goes on', first.code);
  return `while the first was at ${first.disturbed}`;
};

/** Neither result nor records may change by a command that is refused; what a killed one left beside them may go. */
async function refusedAs(scene: Scene, expected: RegExp, more: readonly string[]): Promise<void> {
  const { trial } = scene;
  const look = async () =>
    [...(await snapshot(trial.results()))].filter(([file]) => !/\.progress\/(lock|\.new)/.test(file));
  const before = await look();
  const { kept } = trial;
  refused(await trial.run(undefined, { more }), expected);
  trial.kept = kept;
  promise(isDeepStrictEqual(await look(), before), 'a refusal changes nothing');
}

const tooLittleMemory: Fault = async (scene) => {
  await refusedAs(scene, /^Error: memory-limit: /m, ['--memory-limit', '20MB']);
  return 'refused';
};

const otherOptions: Fault = async (scene) => {
  if (!(await hasRecord(scene))) return DONE;
  await refusedAs(scene, /but it has changed:[\s\S]*\n {2}options\.seed: 0 before, 7 now/, ['--seed', '7']);
  return 'refused';
};

const badPicture: Fault = async (scene) => {
  const { data, random } = scene;
  const before = await snapshot(data);
  const bad = join(data, 'red/bad.png');
  const whole = await readFile(join(data, 'red/0.png'));
  const kinds = {
    empty: Buffer.alloc(0),
    'no picture': Buffer.from('<html>'),
    'cut short': whole.subarray(0, whole.length >> 1),
  };
  const kind = pick(random, Object.keys(kinds) as (keyof typeof kinds)[]);
  await writeFile(bad, kinds[kind]);
  await refusedAs(scene, /bad\.png|data\.pictures/, []);
  await rm(bad);
  promise(isDeepStrictEqual(await snapshot(data), before), 'the pictures are as they were');
  return `${kind}, refused`;
};

const changedPicture: Fault = async (scene) => {
  if (!(await hasRecord(scene))) return DONE;
  const [picture, other] = ['green/0.png', 'green/1.png'].map((name) => join(scene.data, name)) as [string, string];
  const aside = `${scene.data}-aside.png`;
  await rename(picture, aside);
  await copyFile(other, picture);
  await refusedAs(scene, /but it has changed:\n {2}data\.pictures: /, []);
  await rename(aside, picture);
  return 'refused';
};

export const FAULTS = {
  'killed (SIGKILL)': killed,
  'stopped (SIGINT, SIGTERM)': stopped,
  'stopped twice': stoppedTwice,
  'disk full': fullDisk,
  'disk read-only': readOnlyDisk,
  'output folder vanished': vanishedFolder,
  'newest record damaged': damagedRecord,
  'second run on the folder': secondRun,
  'too little memory': tooLittleMemory,
  'other options': otherOptions,
  'bad picture added': badPicture,
  'picture replaced': changedPicture,
} satisfies Record<string, Fault>;

/** A command that says why it does not do what it was asked to. */
export function refused({ code, stderr }: Outcome, expected: RegExp): void {
  promise(code === 1, 'it exits with 1', { code, stderr });
  promise(expected.test(stderr), `it says ${expected}`, stderr);
}

/** A process that ended by itself leaves nothing but the result and whole records. */
export async function isTidy({ trial }: Pick<Scene, 'trial'>, before: readonly string[] = []): Promise<void> {
  const litter = (await trial.litter()).filter((name) => !before.includes(name));
  promise(litter.length === 0, 'nothing new lies beside the result and its records', litter);
}
