/**
 * `npm run soak`: training, results and a server, for some minutes, under faults by chance: kills, signals, full and read-only
 * disks, folders that vanish, damaged records and results, bad pictures, divergence, too little memory, second runs, hostile
 * requests. After each one what is promised for it is looked at, and runs go on to the bytes of one that was left alone.
 *
 * `npm run soak -- [--minutes 10] [--seed 0]`; the seed says what is done and in which order, not how fast the machine is.
 */
import { parseArgs } from 'node:util';
import { header, machine, row } from '../bench/turns.ts';
import { type Done, FAULT_NAMES, Lost, soak } from './episodes.ts';

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '10' }, seed: { type: 'string', default: '0' } },
});
const [minutes, seed] = [Number(values.minutes), Number(values.seed)];
if (!(minutes > 0) || !Number.isSafeInteger(seed)) {
  console.error('Error: --minutes, --seed: expected a number above 0 and a whole one.');
  process.exit(1);
}
const began = performance.now();
const passed = () => (performance.now() - began) / 60_000;
const all: Done[] = [];
let isStopped = false;
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    isStopped = true;
  });
}
try {
  const { runs } = await soak(
    seed,
    () => passed() < minutes && !isStopped,
    (done) => {
      all.push(done);
      console.log(`${passed().toFixed(1)} min  ${done.fault}: ${done.outcome}`);
    },
  );
  summarise();
  console.log(`\n${runs} runs ended in the bytes of the one that was left alone. Nothing was lost.`);
} catch (error) {
  summarise();
  // Ctrl-C reaches what was under way, too.
  const why = error instanceof Lost ? error.message : (error as Error).stack;
  console.error(isStopped ? '\nStopped.' : `\nError: after ${all.length} faults, ${why}`);
  process.exitCode = isStopped ? 130 : 1;
}

function summarise(): void {
  console.log(`\n${all.length} faults in ${passed().toFixed(1)} minutes, seed ${seed}; ${machine()}\n`);
  header(['fault', 'times']);
  for (const name of FAULT_NAMES) row([name, String(all.filter(({ fault }) => fault === name).length)]);
}
