/** Computes features of noise, or trains a head on them, some batches for each line. See stage-one.ts. */
import { createInterface } from 'node:readline';
import {
  ADAM_DEFAULTS,
  buildArtifacts,
  buildResNet,
  extract,
  FEATURES,
  headOnly,
  IMAGE,
  LABEL,
  LOGITS,
} from '../../onnx/index.ts';
import { Random } from '../../src/random.ts';
import { servedBackbone } from '../../src/training/backbone.ts';
import { openSession } from '../../src/training/session.ts';
import { libraryStepper } from '../../src/training/stepper.ts';

const [side, size, threads] = process.argv.slice(2).map(Number) as [number, number, number];
const model = buildResNet({ imageSize: side, classes: 102 });
await using backbone = await servedBackbone(model, { threads });
const head = buildArtifacts(extract(model, [FEATURES], [LOGITS]), headOnly('frozen', ADAM_DEFAULTS));
const { session } = await openSession(head, { device: 'cpu', threads });
const stepper = libraryStepper(session);
await stepper.setLearningRate(1e-3);

const random = new Random(0, 'bench');
const pixels = Uint8Array.from({ length: size * side * side * 3 }, () => random.integer(256));
const image = { type: 'uint8', dims: [size, side, side, 3], data: pixels } as const;
const data = BigInt64Array.from({ length: size }, () => BigInt(random.integer(102)));
const label = { type: 'int64', dims: [size], data } as const;
let features = (await backbone.run({ [IMAGE]: image }))[FEATURES]!;

for await (const line of createInterface({ input: process.stdin })) {
  const [what, count] = line.split(' ');
  const times: number[] = [];
  for (let batch = 0; batch < Number(count); batch++) {
    const started = performance.now();
    if (what === 'features') features = (await backbone.run({ [IMAGE]: image }))[FEATURES]!;
    else await stepper.step({ [FEATURES]: features, [LABEL]: label }, { share: 1, last: true });
    times.push(performance.now() - started);
  }
  console.log(JSON.stringify(times));
}
process.exit();
