/**
 * What stage one costs with ResNet50's backbone frozen: PyTorch's loop, which computes the features in each pass, and ortune's,
 * which computes them once. They take turns. Pictures are noise in memory: decoding is the same for both.
 *
 * `npx tsx scripts/bench/stage-one.ts [--image-size 224,128] [--batch-size 16] [--threads 2] [--passes 10] [--rounds 6]`
 */
import { parseArgs } from 'node:util';
import { hasPytorch, header, machine, median, Peer, row } from './turns.ts';

const { values } = parseArgs({
  options: {
    'image-size': { type: 'string', default: '224,128' },
    'batch-size': { type: 'string', default: '16' },
    threads: { type: 'string', default: '2' },
    passes: { type: 'string', default: '10' },
    rounds: { type: 'string', default: '6' },
  },
});
const passes = Number(values.passes);

async function measure(imageSize: number) {
  const settings = [imageSize, values['batch-size'], values.threads];
  const peers = [new Peer('stage-one.py', settings), new Peer('stage-one-worker.ts', settings)];
  const figures = peers.map(() => ({ features: [] as number[], head: [] as number[] }));
  try {
    for (const peer of peers) {
      await peer.ask('features 2');
      await peer.ask('head 2');
    }
    for (let round = 0; round < Number(values.rounds); round++) {
      for (const [index, peer] of peers.entries()) {
        figures[index]?.features.push(...(await peer.ask('features 3')));
        figures[index]?.head.push(...(await peer.ask('head 3')));
      }
    }
  } finally {
    for (const peer of peers) peer.end();
  }
  return figures.map(({ features, head }) => ({ features: median(features), head: median(head) }));
}

if (!hasPytorch()) process.exit(1);
console.log(`ResNet50, batch ${values['batch-size']}, ${values.threads} threads; ${machine()}\n`);
header(['image', '', 'features, ms a batch', 'head, ms a batch', `${passes} passes, ms a batch`, 'times as fast']);
for (const imageSize of values['image-size'].split(',').map(Number)) {
  const [pytorch, ours] = await measure(imageSize);
  if (!pytorch || !ours) continue;
  const totals = [passes * (pytorch.features + pytorch.head), ours.features + passes * ours.head] as const;
  for (const [index, { features, head }] of [pytorch, ours].entries()) {
    const speed = `${(pytorch.features / features).toFixed(2)} a pass, ${(totals[0] / totals[index]!).toFixed(1)} for ${passes}`;
    const times = [features, head, totals[index]!].map((time) => time.toFixed(1));
    row([`${imageSize} px`, index === 0 ? 'PyTorch' : 'ortune', ...times, index === 0 ? '' : speed]);
  }
}
