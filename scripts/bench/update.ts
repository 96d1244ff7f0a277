/**
 * What updates cost: a training step of the whole ResNet50 by ONNX Runtime's own Adam, by AdamW and SGD as nodes of the
 * graph, and by ortune's operators, one step of each after another, with waiting threads that spin or sleep.
 * `npx tsx scripts/bench/update.ts [--steps 5] [--image-size 128] [--batch-size 16] [--threads 2]`
 */
import { parseArgs } from 'node:util';
import {
  ADAM_DEFAULTS,
  buildArtifacts,
  buildResNet,
  type GraphOptimizer,
  IMAGE,
  LABEL,
  type Optimizer,
  wholeNetwork,
} from '../../onnx/index.ts';
import { Random } from '../../src/random.ts';
import { CheckpointState, type Tensors, TrainingSession } from '../../src/runtime/index.ts';
import { graphStepper, libraryStepper } from '../../src/training/stepper.ts';

const { values } = parseArgs({
  options: {
    steps: { type: 'string', default: '5' },
    'image-size': { type: 'string', default: '128' },
    'batch-size': { type: 'string', default: '16' },
    threads: { type: 'string', default: '2' },
  },
});
const [steps, side, size, threads] = [values.steps, values['image-size'], values['batch-size'], values.threads].map(
  Number,
) as [number, number, number, number];

const common = { weightDecay: 0.01, decays: () => true, rate: () => 1 };
const adamw: GraphOptimizer = { ...common, algorithm: { kind: 'adam', ...ADAM_DEFAULTS } };
const sgd: GraphOptimizer = { ...common, algorithm: { kind: 'sgd', momentum: 0.9, nesterov: false } };
const CASES: readonly [name: string, optimizer: Optimizer, kernels: 'stock' | 'native'][] = [
  ["ONNX Runtime's Adam", ADAM_DEFAULTS, 'stock'],
  ['AdamW, nodes', adamw, 'stock'],
  ['AdamW, operator', adamw, 'native'],
  ['SGD momentum, nodes', sgd, 'stock'],
  ['SGD momentum, operator', sgd, 'native'],
];

const model = buildResNet({ imageSize: side, classes: 102 });
const random = new Random(0, 'bench');
const feeds: Tensors = {
  [IMAGE]: {
    type: 'uint8',
    dims: [size, side, side, 3],
    data: Uint8Array.from({ length: size * side * side * 3 }, () => random.integer(256)),
  },
  [LABEL]: {
    type: 'int64',
    dims: [size],
    data: BigInt64Array.from({ length: size }, () => BigInt(random.integer(102))),
  },
};

for (const spinning of [true, false]) {
  const runs = [];
  for (const [name, optimizer, kernels] of CASES) {
    const artifacts = buildArtifacts(model, { ...wholeNetwork(model, 'live', optimizer), kernels });
    const state = await CheckpointState.load(artifacts.checkpoint);
    const session = await TrainingSession.create({
      checkpointState: state,
      trainModel: artifacts.trainingModel,
      optimizerModel: artifacts.optimizerModel,
      options: { intraOpThreads: threads, spinning },
    });
    const stepper = artifacts.optimizerModel ? libraryStepper(session) : graphStepper(session);
    await stepper.setLearningRate(1e-4);
    runs.push({ name, session, state, stepper, times: [] as number[] });
  }
  // The first of each makes buffers.
  for (let step = 0; step <= steps; step++) {
    for (const { stepper, times } of runs) {
      const started = performance.now();
      await stepper.step(feeds, { share: 1, last: true });
      if (step > 0) times.push(performance.now() - started);
    }
  }
  console.log(`threads that wait ${spinning ? 'spin' : 'sleep'}; median ms of ${steps} steps`);
  for (const { name, times, session, state } of runs) {
    const median = times.toSorted((a, b) => a - b)[times.length >> 1] as number;
    console.log(`  ${name.padEnd(24)}${median.toFixed(0).padStart(6)}`);
    await session.dispose();
    await state.dispose();
  }
}
