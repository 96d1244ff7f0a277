import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { runProcess } from '../cli/command.ts';
import { batch } from './artifacts.ts';
import { failure, openSession, temporaryFolder } from './fixture.ts';
import { detached, longArray, shrunk } from './odd-values.ts';

const program = fileURLToPath(new URL('./odd-arguments.ts', import.meta.url));

interface Outcome {
  readonly refused: number;
  readonly accepted: readonly string[];
  readonly unclear: readonly string[];
  readonly untried: readonly string[];
  readonly finite: boolean;
}

/** What the addon takes as something else than it is; src/runtime, its only caller, checks seeds and devices itself. */
const LENIENT = [
  // Text is text, and what is left out is left out.
  /^loadRuntime\(1\): (undefined|null|an empty text|a text with a NUL|half a character|a long text)$/,
  /^(save\(0\)|createSession\(2\.profilePrefix\)): (an empty text|half a character|a long text|undefined)$/,
  /^(addProperty|getProperty)\([01]\): (an empty text|half a character|a long text)$/,
  /^createSession\((1\.eval|1\.optimizer|2\.\w+)\): undefined$/,
  /^probeCuda\(0(\.device_id)?\)/,
  // Numbers are numbers, and true is true.
  /^(setSeed|cudaMemory)\(0\): (the number .*|not a number|infinity|a half)$/,
  /^addProperty\(1\): (the number (-1|2\^53)|not a number|infinity|a half|a bigint)$/,
  /^setLearningRate\(0\): (the number 2\^53|a half)$/,
  /: true$/,
  // An object without any of the options.
  /^createSession\(2\): /,
  / of a session in disguise$/,
];

test('the addon refuses odd values in any place of any argument', { timeout: 240_000 }, async () => {
  const folder = temporaryFolder();
  const command = [process.execPath, '--import', import.meta.resolve('tsx'), program];
  const { code, stdout, stderr } = await runProcess(folder, command);
  const last = readFileSync(join(folder, 'trying'), 'utf8');
  expect({ code, stderr, last }).toEqual({ code: 0, stderr: '', last: 'new NativeSession' });
  const { refused, accepted, unclear, untried, finite } = JSON.parse(stdout) as Outcome;
  expect(untried).toEqual([]);
  expect(unclear).toEqual([]);
  expect(accepted.filter((what) => !LENIENT.some((pattern) => pattern.test(what)))).toEqual([]);
  expect(refused).toBeGreaterThan(4000);
  expect(finite).toBe(true);
});

test.each<[string, () => { dims?: number[]; data?: Uint8Array }, string]>([
  ['detached', () => ({ data: detached(2 * 32 * 32 * 3) }), 'detached ArrayBuffer'],
  ['there no more', () => ({ data: shrunk(2 * 32 * 32 * 3) }), 'take 6144 elements, but the data has 0'],
  ['of endless rank', () => ({ dims: longArray() as number[] }), 'Undefined'],
])('memory that is %s is refused in words', async (_, change, words) => {
  const { session } = await openSession();
  const { image, label } = batch(2);
  const error = await failure(() => session.evalStep({ image: { ...image, ...change() }, label }));
  expect(error.message).toContain(words);
});

test('memory that is shared serves like any other', async () => {
  const { session } = await openSession();
  const { image, label } = batch(2);
  const expected = await session.evalStep({ image, label });
  const shared = new Uint8Array(new SharedArrayBuffer(image.data.length));
  shared.set(image.data);
  const labels = new BigInt64Array(new SharedArrayBuffer(label.data.byteLength));
  labels.set(label.data);
  expect(await session.evalStep({ image: { ...image, data: shared }, label: { ...label, data: labels } })).toEqual(
    expected,
  );
});

test('numbers that 32 bits do not hold are refused', async () => {
  const { state, session } = await openSession();
  expect(await failure(() => session.setLearningRate(1e300))).toMatchObject({ code: 'INVALID_ARGUMENT' });
  expect(await failure(() => state.addProperty('rate', 1e300))).toMatchObject({
    code: 'INVALID_ARGUMENT',
    message: expect.stringContaining("property 'rate' does not fit into a 32-bit float"),
  });
});
