/**
 * That the addon keeps nothing: thousands of steps of one session, and hundreds of sessions opened and disposed, while
 * memory, files and threads of the process are counted.
 *
 * `npx tsx --expose-gc scripts/soak/addon.ts [--steps 10000] [--sessions 500] [--out FILE.json]`
 */
import { readdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { ADAM_DEFAULTS, buildArtifacts, buildResNet, wholeNetwork } from '../../onnx/index.ts';
import { CheckpointState, type Tensors, TrainingSession } from '../../src/runtime/index.ts';

const SIDE = 32;

/** What the process holds. */
interface Held {
  /** Resident memory in bytes, after a collection where the process exposes that. */
  readonly memory: number;
  /** Open files and threads; 0 where the system has no `/proc`. */
  readonly files: number;
  readonly threads: number;
  /** What keeps the event loop going, as Node counts it. */
  readonly resources: number;
}

interface Soak {
  /** What is held after each twentieth of the rounds; the first is after the warm-up. */
  readonly held: readonly Held[];
  /** Bytes by which memory grew for each round, by least squares over all of `held`. */
  readonly slope: number;
}

export interface AddonSoak {
  readonly steps: Soak;
  readonly sessions: Soak;
}

/** Runs both, each after a twentieth of its rounds as a warm-up. */
async function soakAddon(rounds: { readonly steps: number; readonly sessions: number }): Promise<AddonSoak> {
  const model = buildResNet({ depth: 18, width: 0.0625, imageSize: SIDE, classes: 5 });
  const artifacts = buildArtifacts(model, wholeNetwork(model, 'live', ADAM_DEFAULTS));
  const { trainingModel: trainModel, evalModel, optimizerModel, checkpoint } = artifacts;
  const open = async () => {
    const state = await CheckpointState.load(checkpoint);
    const source = { checkpointState: state, trainModel, evalModel, optimizerModel, options: { intraOpThreads: 1 } };
    return { state, session: await TrainingSession.create(source) };
  };
  const step = async ({ session }: Awaited<ReturnType<typeof open>>, round: number) => {
    // Two sizes, as the last batch of a pass is smaller.
    await session.trainStep(batch(1 + (round % 2)));
    await session.optimizerStep();
    await session.lazyResetGrad();
    if (round % 10 === 0) await session.evalStep(batch(2));
  };

  const opened = await open();
  const steps = await soak(rounds.steps, (round) => step(opened, round));
  await Promise.all([opened.session.dispose(), opened.state.dispose()]);

  const sessions = await soak(rounds.sessions, async (round) => {
    const { session, state } = await open();
    await step({ session, state }, round);
    await Promise.all([session.dispose(), state.dispose()]);
  });
  return { steps, sessions };
}

async function soak(rounds: number, act: (round: number) => Promise<void>): Promise<Soak> {
  const every = Math.ceil(rounds / 20);
  for (let round = 0; round < every; round += 1) await act(round);
  const held = [await hold()];
  for (let round = 1; round <= rounds; round += 1) {
    await act(round);
    if (round % every === 0) held.push(await hold());
  }
  return { held, slope: slopeOf(held.map(({ memory }) => memory)) / every };
}

async function hold(): Promise<Held> {
  // The thread of what was collected ends a while later: three looks in a row must find as many.
  const looks: number[] = [];
  do {
    globalThis.gc?.();
    await wait(20);
    looks.push(entriesOf('task'));
  } while (looks.length < 100 && (looks.length < 3 || new Set(looks.slice(-3)).size > 1));
  return {
    memory: process.memoryUsage.rss(),
    files: entriesOf('fd'),
    threads: entriesOf('task'),
    resources: process.getActiveResourcesInfo().length,
  };
}

function entriesOf(kind: 'fd' | 'task'): number {
  return process.platform === 'linux' ? readdirSync(`/proc/self/${kind}`).length : 0;
}

/** Of the line through values at 0, 1, 2, ... with the least squares. */
function slopeOf(values: readonly number[]): number {
  const middle = (values.length - 1) / 2;
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const spread = values.reduce((sum, _, index) => sum + (index - middle) ** 2, 0);
  return values.reduce((sum, value, index) => sum + (index - middle) * (value - mean), 0) / spread;
}

function batch(count: number): Tensors {
  const data = Uint8Array.from({ length: count * SIDE * SIDE * 3 }, (_, index) => (index * 7919) % 251);
  return {
    image: { type: 'uint8', dims: [count, SIDE, SIDE, 3], data },
    label: { type: 'int64', dims: [count], data: BigInt64Array.from({ length: count }, (_, row) => BigInt(row)) },
  };
}

const { values } = parseArgs({
  options: {
    steps: { type: 'string', default: '10000' },
    sessions: { type: 'string', default: '500' },
    out: { type: 'string' },
  },
});
const result = await soakAddon({ steps: Number(values.steps), sessions: Number(values.sessions) });
for (const [what, { held, slope }] of Object.entries(result) as [string, Soak][]) {
  const [first, last] = [held[0] as Held, held.at(-1) as Held];
  console.log(
    `${what}: ${(first.memory / 2 ** 20).toFixed(1)} MiB, then ${(last.memory / 2 ** 20).toFixed(1)} MiB, ${slope.toFixed(0)} bytes a round; ` +
      `files ${first.files}, ${last.files}; threads ${first.threads}, ${last.threads}; resources ${first.resources}, ${last.resources}`,
  );
}
if (values.out) await writeFile(values.out, `${JSON.stringify(result, null, 2)}\n`);
