/**
 * That nothing is lost: a run that is left alone, then many that are killed (SIGKILL) at random moments, several times each,
 * and go on by `--resume`. Each must end in the same bytes: model, checkpoint, history, metrics and all else, but for what
 * the clock says.
 *
 * `npx tsx scripts/soak/kills.ts [--runs 200] [--seed 0] [--parallel 2] [--out FILE.json]`
 *
 * The seed says when a run is killed: in which phase of it, and after which share of the time that the phase took the run
 * that was left alone. What has been written by then is the machine's.
 */
import { readdir, rm, writeFile } from 'node:fs/promises';
import { isDeepStrictEqual, parseArgs } from 'node:util';
import { Random } from '../../src/random.ts';
import { everythingOf } from '../../test/everything-of.ts';
import { pick } from '../../test/fuzz/mutate.ts';
import { header, machine, median, row } from '../bench/turns.ts';
import { drawMoment, type Moment, OUT, PHASES, type Phase, PROGRESS, type StageRun } from './stage-run.ts';
import { eventsOf, promise, Trial } from './trial.ts';
import { openSoakWorkshop, stageTwo } from './workshop.ts';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '200' },
    seed: { type: 'string', default: '0' },
    parallel: { type: 'string', default: '2' },
    out: { type: 'string' },
  },
});
const [runs, seed, parallel] = [Number(values.runs), Number(values.seed), Number(values.parallel)];
/** Times that a run is killed, unless it is done before. */
const [FEWEST, MOST] = [3, 5];

const began = performance.now();
const workshop = await openSoakWorkshop();
try {
  const job = await stageTwo(workshop);
  const { alone, result } = job;
  const pictures = await everythingOf(workshop.data);
  const steps = eventsOf(alone, 'batch').length;

  const counts = {
    byPhase: Object.fromEntries(PHASES.map((phase) => [phase, 0])) as Record<Phase, number>,
    left: { 'half a record': 0, 'half a result': 0, 'a whole result': 0, 'nothing to go on from': 0 },
  };
  const killsOfRun: number[] = [];
  const broken: { run: number; why: string; log: readonly string[] }[] = [];

  const oneRun = async (number: number): Promise<void> => {
    const folder = workshop.path(`run-${number}`);
    const trial = await Trial.begin(job, folder);
    let kills = 0;
    try {
      for (const moment of momentsOf(number, alone, steps)) {
        if (trial.done) break;
        const { code, disturbed } = await trial.run({ moment, act: (child) => child.kill('SIGKILL') });
        if (code !== 'SIGKILL') continue;
        kills++;
        counts.byPhase[disturbed!]++;
        await look(trial);
      }
      await trial.finish();
    } catch (error) {
      broken.push({ run: number, why: (error as Error).message, log: trial.log });
    }
    killsOfRun.push(kills);
    await rm(folder, { recursive: true, force: true });
    if (killsOfRun.length % 10 === 0) console.error(`${killsOfRun.length} of ${runs} runs, ${broken.length} not equal`);
  };

  /** What a kill has left. */
  const look = async (trial: Trial): Promise<void> => {
    const names = await readdir(trial.results());
    const { left } = counts;
    if ((await trial.litter()).includes(`${PROGRESS}/.new`)) left['half a record']++;
    if (names.some((name) => name.startsWith(`.${OUT}.new-`))) left['half a result']++;
    if ((await trial.records()).length === 0) left['nothing to go on from']++;
    if (await isWhole(trial)) left['a whole result']++;
  };
  const isWhole = async (trial: Trial) => (await readdir(trial.results(OUT)).catch(() => [])).length > 1;

  let next = 0;
  const worker = async () => {
    while (next < runs) await oneRun(next++);
  };
  await Promise.all(Array.from({ length: parallel }, worker));

  promise(isDeepStrictEqual(await everythingOf(workshop.data), pictures), 'no run has written to its data');
  const equal = runs - broken.length;
  const kills = killsOfRun.reduce((sum, number) => sum + number, 0);
  const seconds = Math.round((performance.now() - began) / 1000);
  console.log(`${runs} runs of ${steps} steps, seed ${seed}, killed ${kills} times; ${machine()}; ${seconds} s\n`);
  header(['killed while', 'times']);
  for (const phase of PHASES) row([phase, String(counts.byPhase[phase])]);
  console.log('');
  header(['a kill left', 'times']);
  for (const [what, number] of Object.entries(counts.left)) row([what, String(number)]);
  console.log(
    `\nKills of a run: ${Math.min(...killsOfRun)} to ${Math.max(...killsOfRun)}, median ${median(killsOfRun)}`,
  );
  console.log(`Ended in the same bytes as the run left alone: ${equal} of ${runs}`);
  for (const { run, why, log } of broken) console.log(`\nRun ${run}: ${why}\n  ${log.join('\n  ')}`);
  const files = Object.fromEntries([...result].map(([name, bytes]) => [name, bytes.byteLength]));
  const record = {
    ...{ machine: machine(), seed, runs, equal, kills, killsOfRun: [...killsOfRun].sort((a, b) => a - b) },
    ...{ byPhase: counts.byPhase, left: counts.left, broken, seconds },
    reference: {
      options: job.args.map((word) => word.replace(`${workshop.folder}/`, '')),
      steps,
      records: eventsOf(alone, 'kept').length,
      files,
    },
  };
  if (values.out !== undefined) await writeFile(values.out, `${JSON.stringify(record, undefined, 2)}\n`);
  if (equal < runs) process.exitCode = 1;
} finally {
  await workshop.remove();
}

/** Moments of a run's kills, in the order in which a run comes to them; the start may be disturbed at any time. */
function momentsOf(run: number, alone: StageRun, steps: number): Moment[] {
  const random = new Random(seed, 'kills', run);
  const moments = Array.from({ length: FEWEST + random.integer(MOST - FEWEST + 1) }, () => {
    const phase = pick(random, PHASES);
    const from = random.integer(steps);
    const moment = drawMoment(random, alone, phase, from);
    const isEnd = phase === 'saving' || phase === 'ending';
    return { moment, order: isEnd ? steps + Number(phase === 'ending') : from };
  });
  return moments.sort((a, b) => a.order - b.order).map(({ moment }) => moment);
}
