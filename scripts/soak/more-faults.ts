/** What may befall training that diverges, results that are used, and a server. */
import { cp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { Random } from '../../src/random.ts';
import type { RunningServer } from '../../src/serve/index.ts';
import { commandLine, type Outcome, runProcess } from '../../test/cli/command.ts';
import { pick, randomBytes } from '../../test/fuzz/mutate.ts';
import { LENGTHS, PATHS } from '../../test/serve/hostile.ts';
import { metric, RawClient, servedBy, uploadHead } from '../../test/serve/raw.ts';
import { snapshot, type Workshop } from '../../test/training/workshop.ts';
import { damage, isTidy, refused } from './faults.ts';
import { drawMoment, PHASES } from './stage-run.ts';
import { eventsOf, promise, Trial } from './trial.ts';
import { type Job, spoiltStageOne } from './workshop.ts';

export interface Place {
  readonly workshop: Workshop;
  /** Of a result that is whole. */
  readonly job: Job;
  /** Of its own, to be filled. */
  readonly folder: string;
  readonly random: Random;
}

let spoilt: Promise<Job> | undefined;

/** Stops with a record that is good, and by `--on-nan rollback` comes to its end, killed on the way or not. */
async function divergence({ workshop, folder, random }: Place): Promise<string> {
  spoilt ??= spoiltStageOne(workshop);
  const job = await spoilt;
  const trial = await Trial.begin(job, folder);
  refused(
    await trial.run(),
    /expected finite .*The last good state is \S+ \(pass \d+, \d+ batches\): --resume --on-nan/,
  );
  await isTidy({ trial });
  const more = ['--on-nan', 'rollback'];
  const moment = drawMoment(
    random,
    job.alone,
    pick(random, PHASES),
    random.integer(eventsOf(job.alone, 'batch').length),
  );
  const { disturbed } = await trial.run({ moment, act: (child) => child.kill('SIGKILL') }, { more });
  await trial.finish({ more });
  return `stopped, went back${disturbed ? `, killed at ${disturbed}` : ''}`;
}

/** Uses of a result, and what needs a whole `run.json`. */
const USES = ['predict', 'evaluate', 'export', 'report'] as const;

/** A damaged result is known by whatever uses it, and not made worse. */
async function damagedResult({ workshop, job, folder, random }: Place): Promise<string> {
  await cp(job.folder, join(folder, 'two'), { recursive: true });
  const use = pick(random, USES);
  const run = (shell = '') => {
    const picture = join(workshop.data, 'red/0.png');
    const args = {
      predict: [picture, '--model', 'two', '--threads', '1'],
      evaluate: ['--model', 'two', '--data', workshop.data, '--threads', '1', '--out', 'metrics.json'],
      export: ['--model', 'two', '--precision', 'fp16', '--threads', '1', '--out', 'small.onnx'],
      report: ['--model', 'two', '--out', 'report.html'],
    }[use];
    return runProcess(folder, ['sh', '-c', `${shell}exec "$@"`, 'sh', ...commandLine(use, args)]);
  };
  const file = use === 'report' || (use !== 'predict' && random.integer(3) === 0) ? 'run.json' : 'model.onnx';
  const kind = file === 'run.json' ? 'overwritten' : await damage(join(folder, 'two', file), random);
  if (file === 'run.json') await cp(join(workshop.data, 'red/0.png'), join(folder, 'two', file));
  const before = await snapshot(folder);
  const expected =
    file === 'run.json'
      ? /run\.json cannot be read/
      : kind === 'gone'
        ? /model\.onnx/
        : /model\.onnx: expected the file as it was written/;
  isRefused(await run(), expected);
  promise(isDeepStrictEqual(await snapshot(folder), before), 'a refusal changes nothing');
  // What is written where there is no room leaves nothing, either.
  await cp(job.folder, join(folder, 'two'), { recursive: true });
  const whole = await snapshot(folder);
  if (use === 'export' || use === 'report') isRefused(await run('ulimit -f 20; '), /cannot be written: EFBIG/);
  else promise((await run()).code === 0, 'the whole result is of use');
  if (use !== 'evaluate') promise(isDeepStrictEqual(await snapshot(folder), whole), 'nothing is left of it');
  return `${use}, ${file} ${kind}`;
}

function isRefused(outcome: Outcome, expected: RegExp): void {
  refused(outcome, expected);
  promise(!/^ {4}at /m.test(outcome.stderr), 'errors are sentences, without a stack', outcome.stderr);
}

/** Hostile requests, each with what may come back. */
const ATTACKS: Record<string, (client: RawClient, random: Random, picture: Buffer) => RegExp | undefined> = {
  'paths that lead out': (client, random) => {
    client.send(`GET ${pick(random, PATHS)} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
    return /^HTTP\/1\.1 40[04] (?![\s\S]*root:)/;
  },
  'bodies of two lengths': (client, random) => {
    client.send(`POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: image/png\r\n${pick(random, LENGTHS)}\r\nGET / `);
    return /^HTTP\/1\.1 400 /;
  },
  'bytes that are no HTTP': (client, random) => {
    client.send(randomBytes(random, 1 + random.integer(5000)));
    client.send('\r\n\r\n');
    return /^HTTP\/1\.1 4\d\d /;
  },
  'too many headers': (client) => {
    client.send(`GET / HTTP/1.1\r\nHost: a\r\n${'X-A: b\r\n'.repeat(5000)}\r\n`);
    return /^HTTP\/1\.1 431 /;
  },
  'damaged pictures': (client, random, picture) => {
    const damaged = Buffer.from(picture);
    // Past the header: what is left of a picture may be one.
    for (let time = 0; time < 8; time++) damaged[40 + random.integer(damaged.length - 40)] = random.integer(256);
    client.send(uploadHead(damaged.length, 'Connection: close\r\n'));
    client.send(damaged);
    return /^HTTP\/1\.1 (200|422) /;
  },
  'bodies of chance': (client, random) => {
    const body = randomBytes(random, 10_000);
    client.send(uploadHead(body.length, 'Connection: close\r\n'));
    client.send(body);
    return /^HTTP\/1\.1 (415|422) /;
  },
  'bodies too large': (client) => {
    client.send(uploadHead(1e9));
    return /^HTTP\/1\.1 413 /;
  },
  'uploads cut off': (client, random, picture) => {
    client.send(uploadHead(picture.length));
    client.send(picture.subarray(0, random.integer(picture.length)));
    client.socket.destroy();
    return undefined;
  },
  'slow uploads': (client) => {
    client.send(uploadHead(1000));
    return /^HTTP\/1\.1 408 /;
  },
};

/** A server answers others as before, whatever some ask, keeps nothing, and ends when it is told to. */
async function hostileRequests({ workshop, job, folder, random }: Place): Promise<string> {
  await cp(job.folder, join(folder, 'two'), { recursive: true });
  const before = await snapshot(folder);
  const picture = await readFile(join(workshop.data, 'red/0.png'));
  const names = Array.from({ length: 30 }, () => pick(random, Object.keys(ATTACKS)));
  let failure: unknown;
  let attacking: Promise<void> | undefined;
  const args = ['--model', 'two', '--port', '0', '--threads', '1', '--timeout', '1'];
  const ended = await runProcess(folder, commandLine('serve', args), {
    watch(child) {
      attacking = servedBy(child)
        .then((server) => attack(server, names, random, picture))
        .catch((error: unknown) => {
          failure = error;
        })
        .finally(() => child.kill('SIGTERM'));
    },
  });
  await attacking;
  if (failure !== undefined) throw failure;
  promise(ended.code === 0 && !/^ {4}at /m.test(ended.stderr), 'it ends when it is told to, without a defect', ended);
  promise(isDeepStrictEqual(await snapshot(folder), before), 'nothing is kept');
  return `${names.length} requests`;
}

/** Milliseconds after which a server that has not answered hangs, however slow the machine is. */
const PATIENCE = 60_000;

async function attack(server: RunningServer, names: readonly string[], random: Random, picture: Buffer): Promise<void> {
  const ask = async () => {
    const headers = { 'Content-Type': 'image/png' };
    const response = await fetch(`${server.url}/predict`, { method: 'POST', headers, body: new Uint8Array(picture) });
    return [response.status, await response.text()];
  };
  const usual = await ask();
  promise(usual[0] === 200, 'it answers', usual);
  await Promise.all(
    names.map(async (name) => {
      const client = await RawClient.connect(server);
      const expected = ATTACKS[name]!(client, random, picture);
      const text = await Promise.race([client.ended(), sleep(PATIENCE, 'nothing', { ref: false })]);
      promise(!expected || expected.test(text), `${name} are answered by ${expected}`, text.slice(0, 300));
    }),
  );
  promise(isDeepStrictEqual(await ask(), usual), 'others are answered as before');
  const active = await metric(server, 'ortune_requests_active');
  promise(active === 0, 'no request stays', active);
}

export const MORE_FAULTS = {
  'no finite numbers': divergence,
  'result damaged': damagedResult,
  'hostile requests': hostileRequests,
} satisfies Record<string, (place: Place) => Promise<string>>;
