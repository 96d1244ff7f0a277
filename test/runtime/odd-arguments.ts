// Run by abuse-arguments.test.ts as a process of its own, in an empty folder: puts every odd value in the place of every
// argument, and of everything within one, and tells what was accepted. `trying` says what it was at, should it crash.
import { writeFileSync } from 'node:fs';
import { ADAM_DEFAULTS, buildArtifacts, buildResNet, wholeNetwork } from '../../onnx/index.ts';
import { OrtuneError } from '../../src/errors.ts';
import { Runtime } from '../../src/runtime/index.ts';
import { locateKernels, locateLibrary } from '../../src/runtime/locate.ts';
import { BIAS, batch, CLASSES, SIDE } from './artifacts.ts';
import { ODD_VALUES } from './odd-values.ts';

const model = buildResNet({ depth: 18, width: 0.0625, imageSize: SIDE, classes: CLASSES });
const artifacts = buildArtifacts(model, wholeNetwork(model, 'live', ADAM_DEFAULTS));
const { trainingModel: train, evalModel, optimizerModel: optimizer, checkpoint: checkpointBytes } = artifacts;

const { addon } = Runtime.load();
const checkpoint = await addon.loadCheckpoint(checkpointBytes);
const session = await addon.createSession(checkpoint, { train, eval: evalModel, optimizer }, { intraOpThreads: 1 });
/** One without a session. */
const lone = await addon.loadCheckpoint(checkpointBytes);
const tensor = ({ type, dims, data }: { type: string; dims: readonly number[]; data: ArrayBufferView }) => ({
  type,
  dims: [...dims],
  data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
});
const { image, label } = batch(2);
const feeds = { image: tensor(image), label: tensor(label) };
const bias = { type: 'float32', dims: [CLASSES], data: new Uint8Array(4 * CLASSES) };
const size = await session.parametersSize(true);

const options = {
  ...{ intraOpThreads: 1, interOpThreads: 1, cpuMemoryArena: true, spinning: false, deterministic: true },
  ...{ graphOptimization: 'all', logSeverity: 'fatal', profilePrefix: 'trace' },
};
/** By name: arguments that are accepted. */
const MODULE = {
  loadRuntime: [locateLibrary().libraryPath, locateKernels() ?? ''],
  setSeed: [1],
  probeCuda: [{ device_id: '0' }],
  cudaMemory: [0],
  loadCheckpoint: [checkpointBytes],
  createSession: [lone, { train, eval: evalModel, optimizer }, options],
};
const SESSION = {
  ...{ trainInputNames: [], trainOutputNames: [], evalInputNames: [], evalOutputNames: [] },
  trainStep: [feeds],
  evalStep: [feeds],
  optimizerStep: [],
  lazyResetGrad: [],
  setLearningRate: [0.1],
  getLearningRate: [],
  parametersSize: [true],
  copyParametersToBuffer: [true],
  copyBufferToParameters: [{ type: 'float32', dims: [size], data: new Uint8Array(4 * size) }, true],
  exportModelForInferencing: ['model.onnx', ['logits']],
  dispose: [],
};
const CHECKPOINT = {
  save: ['saved', true],
  getParameter: [BIAS],
  updateParameter: [BIAS, bias],
  parameterInfo: [BIAS],
  addProperty: ['property', 1],
  getProperty: ['property'],
  dispose: [],
};

/** Objects that are of one class to JavaScript and of another, or of none, to the addon. */
const { NativeCheckpoint, NativeSession } = addon as unknown as Record<string, { prototype: object; new (): object }>;
const IMPOSTORS: Record<string, () => unknown> = {
  'a session': () => session,
  'a session in disguise': () => Object.setPrototypeOf(disguised, NativeCheckpoint?.prototype as object),
  'an empty checkpoint': () => Object.create(NativeCheckpoint?.prototype as object),
  'an empty session': () => Object.create(NativeSession?.prototype as object),
};
const disguised = await addon.createSession(await addon.loadCheckpoint(checkpointBytes), { train }, {});

const ODD = { ...ODD_VALUES, ...IMPOSTORS };
const accepted: string[] = [];
const unclear: string[] = [];
let refused = 0;

/** Whether a call was accepted; what it gives is closed again. */
async function attempt(what: string, call: () => unknown): Promise<void> {
  writeFileSync('trying', what);
  try {
    const result = await call();
    accepted.push(what);
    if (what.startsWith('createSession')) await (result as { dispose(): Promise<void> }).dispose();
  } catch (error) {
    refused += 1;
    if (!(error instanceof Error) || error instanceof OrtuneError || error.message.length < 8) {
      unclear.push(`${what}: ${String(error)}`);
    }
  }
}

/** Places within plain objects and arrays, the value itself included. */
function* places(value: unknown, path: readonly string[] = []): Generator<readonly string[]> {
  yield path;
  const prototype = typeof value === 'object' && value !== null && Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== Array.prototype) return;
  for (const [key, inner] of Object.entries(value as object)) yield* places(inner, [...path, key]);
}

function replaced(value: unknown, [key, ...rest]: readonly string[], by: unknown): unknown {
  if (key === undefined) return by;
  const inner = replaced((value as Record<string, unknown>)[key], rest, by);
  return Array.isArray(value) ? value.with(Number(key), inner) : { ...(value as object), [key]: inner };
}

async function disturb(owner: object, calls: Readonly<Record<string, readonly unknown[]>>): Promise<void> {
  for (const [name, args] of Object.entries(calls)) {
    const method = (owner as Record<string, (...args: unknown[]) => unknown>)[name] as (...args: unknown[]) => unknown;
    for (const place of places([...args])) {
      if (place.length === 0) continue;
      for (const [odd, make] of Object.entries(ODD)) {
        await attempt(`${name}(${place.join('.')}): ${odd}`, () =>
          method.apply(owner, replaced(args, place, make()) as unknown[]),
        );
      }
    }
    if (owner === addon) continue;
    for (const [odd, make] of Object.entries(ODD)) {
      const impostor = make();
      if (impostor === owner) continue;
      await attempt(`${name} of ${odd}`, () => method.apply(impostor, args as unknown[]));
    }
  }
}

const methodsOf = (value: object) =>
  Object.getOwnPropertyNames(Object.getPrototypeOf(value)).filter((name) => name !== 'constructor');
const untried = [
  ...Object.keys(addon).filter((name) => !(name in MODULE) && !/^Native(Checkpoint|Session)$/.test(name)),
  ...methodsOf(session).filter((name) => !(name in SESSION)),
  ...methodsOf(checkpoint).filter((name) => !(name in CHECKPOINT)),
];

await disturb(addon, MODULE);
await disturb(session, SESSION);
await disturb(checkpoint, CHECKPOINT);
for (const [name, Class] of Object.entries({ NativeCheckpoint, NativeSession })) {
  await attempt(`new ${name}`, () => Class && new Class());
}
// After all of it, the session works.
const [loss] = await session.evalStep(feeds as Parameters<typeof session.evalStep>[0]);
const finite = Number.isFinite(new Float32Array(loss?.data.slice().buffer as ArrayBuffer)[0]);
console.log(JSON.stringify({ refused, accepted, unclear, untried, finite }));
