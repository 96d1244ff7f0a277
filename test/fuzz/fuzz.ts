/**
 * Gives damaged files to every reader of foreign ones: `npx tsx test/fuzz/fuzz.ts --inputs 1000000 [--seed 1] [--only mat,csv]`.
 * Input `index` of a reader and seed is always the same; what goes wrong is printed with all three and the file in base64.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { OrtuneError } from '../../src/errors.ts';
import { TARGETS } from './targets.ts';
import { type Finding, fuzz, type Piece, type Tally } from './watch.ts';

/** Longest file that is printed, in characters of base64. */
const PRINTED = 4000;

const { values } = parseArgs({
  options: {
    inputs: { type: 'string', default: '20000' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string' },
    /** The one input of this number. */
    index: { type: 'string' },
    jobs: { type: 'string', default: String(Math.min(2, availableParallelism())) },
  },
});
const seed = Number(values.seed);
const jobs = values.index === undefined ? Number(values.jobs) : 1;
const names = values.only?.split(',');
const chosen = TARGETS.filter(({ name }) => !names || names.includes(name));
if (chosen.length === 0)
  throw new OrtuneError('OPTION', `--only: expected ${TARGETS.map(({ name }) => name).join(', ')}`);
const shares = chosen.reduce((sum, { share }) => sum + share, 0);

function piece(name: string, share: number, job: number): Piece {
  if (values.index !== undefined)
    return { target: name, from: Number(values.index), to: Number(values.index) + 1, step: 1 };
  return { target: name, from: job, to: Math.ceil((Number(values.inputs) * share) / shares), step: jobs };
}

const findings: Finding[] = [];
const outcomes = new Map<string, Record<string, number>>();
const seconds = new Map<string, number>();

function tell(message: Finding | Tally): void {
  if ('fault' in message) {
    findings.push(message);
    const { target, index, fault, base64 = '' } = message;
    const file = base64.length <= PRINTED ? base64 : `${base64.length} characters of base64`;
    console.log(`FOUND --only ${target} --seed ${seed} --index ${index}: ${fault}\n  ${file}`);
    return;
  }
  const { target } = message;
  const sum = outcomes.get(target) ?? {};
  for (const [name, count] of Object.entries(message.outcomes)) sum[name] = (sum[name] ?? 0) + count;
  outcomes.set(target, sum);
  seconds.set(target, (seconds.get(target) ?? 0) + message.seconds);
}

await Promise.all(
  Array.from({ length: jobs }, (_, job) =>
    fuzz(
      chosen.map(({ name, share }) => piece(name, share, job)),
      seed,
      tell,
    ),
  ),
);
let total = 0;
for (const { name } of chosen) {
  const counts = Object.entries(outcomes.get(name) ?? {}).sort(([, a], [, b]) => b - a);
  const inputs = counts.reduce((sum, [, count]) => sum + count, 0);
  total += inputs;
  const ends = counts.map(([end, count]) => `${end} ${count}`).join(', ');
  console.log(`${name}: ${inputs} inputs in ${(seconds.get(name) ?? 0).toFixed(1)} s: ${ends}`);
}
console.log(`${total} inputs, ${findings.length} findings`);
if (findings.length > 0) process.exitCode = 1;
