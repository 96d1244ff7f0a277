/**
 * What the server does under load: pictures a second and latencies by autocannon, in turns with a bare loop over the same
 * pictures in a process of its own, which decodes by sharp and runs onnxruntime-node, one after the other.
 *
 * `npx tsx scripts/bench/serve.ts --model DIR --pictures DIR [--connections 1,4,16,32] [--rounds 5] [--seconds 8]
 * [--threads 2] [--max-batch 8] [--json docs/runs/serve.json]`
 */
import { readFile, writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import autocannon from 'autocannon';
import { listPictures } from '../../src/inference/list-pictures.ts';
import { header, machine, median, Peer, row } from './turns.ts';

const { values } = parseArgs({
  options: {
    model: { type: 'string', default: 'models/infer_model' },
    pictures: { type: 'string' },
    connections: { type: 'string', default: '1,4,16,32' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '8' },
    threads: { type: 'string', default: '2' },
    'max-batch': { type: 'string', default: '8' },
    json: { type: 'string', default: 'docs/runs/serve.json' },
  },
});
if (values.pictures === undefined) throw new Error('expected --pictures, a folder');
/** As many as autocannon's connections go through in turn, and the loop as well. */
const MOST_PICTURES = 64;
const files = (await listPictures([values.pictures])).slice(0, MOST_PICTURES);
const bodies = await Promise.all(files.map((file) => readFile(file)));
const seconds = Number(values.seconds);
const loads = values.connections.split(',').map(Number);

/** Pictures a second, and milliseconds from request to answer. */
interface Figures {
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
}

async function cannon(url: string, connections: number): Promise<Figures> {
  const requests = bodies.map((body) => ({
    method: 'POST' as const,
    path: '/predict',
    headers: { 'content-type': 'application/octet-stream' },
    body,
  }));
  const result = await autocannon({ url, connections, duration: seconds, requests });
  const failed = result.non2xx + result.errors + result.timeouts;
  if (failed > 0) throw new Error(`${failed} of ${result.requests.total} requests failed`);
  return { perSecond: result['2xx'] / result.duration, p50: result.latency.p50, p99: result.latency.p99 };
}

const medians = (rounds: readonly Figures[]): Figures => ({
  perSecond: median(rounds.map(({ perSecond }) => perSecond)),
  p50: median(rounds.map(({ p50 }) => p50)),
  p99: median(rounds.map(({ p99 }) => p99)),
});

const common = [values.model, values.threads];
await using server = new Peer('serve-server.ts', [...common, values['max-batch']]);
await using loop = new Peer('serve-loop.ts', [...common, ...files]);
const url = await server.ask<string>('address');
const contenders = [
  { name: 'bare loop', measure: () => loop.ask<Figures>(String(seconds)) },
  ...loads.map((connections) => ({
    name: `server, ${connections} at a time`,
    measure: () => cannon(url, connections),
  })),
].map((contender) => ({ ...contender, rounds: [] as Figures[] }));

for (let round = -1; round < Number(values.rounds); round++) {
  for (const { measure, rounds } of contenders) {
    const figures = await measure();
    // The first is for warming up.
    if (round >= 0) rounds.push(figures);
  }
}

const settings = {
  model: basename(values.model),
  threads: Number(values.threads),
  maxBatch: Number(values['max-batch']),
};
const results = contenders.map(({ name, rounds }) => ({ name, ...medians(rounds), rounds }));
const bare = results[0]!.perSecond;
console.log(
  `${files.length} pictures, ${values.threads} threads, ${values.rounds} rounds of ${seconds} s; ${machine()}\n`,
);
header(['', 'pictures/s', 'of the loop', 'p50, ms', 'p99, ms']);
for (const { name, perSecond, p50, p99 } of results) {
  row([name, perSecond.toFixed(1), (perSecond / bare).toFixed(2), p50.toFixed(1), p99.toFixed(1)]);
}
const report = { machine: machine(), pictures: files.length, seconds, ...settings, results };
await writeFile(values.json, `${JSON.stringify(report, undefined, 2)}\n`);
console.log(`\nSaved: ${fileURLToPath(new URL(values.json, `file://${process.cwd()}/`))}`);
