// Each program of examples/ runs as it stands, in order, on drawn flowers: what one leaves, the next ones use.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { drawFlowers, FLOWER_CLASSES } from '../../scripts/demo/flowers.ts';
import { runProcess, untilPrinted } from '../cli/command.ts';

// Whole networks train here, if only for a few steps.
vi.setConfig({ testTimeout: 240_000 });

const root = fileURLToPath(new URL('../../', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'ortune-examples-'));
const photo = 'photos/daisy/daisy-001.jpg';
const ran = new Set<string>();

/** `import ... from 'ortune'` is resolved by the paths of this project's own tsconfig.json. */
const command = (name: string, ...words: string[]) => {
  ran.add(`${name}.ts`);
  const tsx = [process.execPath, '--import', import.meta.resolve('tsx')];
  return [...tsx, join(root, 'examples', `${name}.ts`), ...words];
};
const env = { TSX_TSCONFIG_PATH: join(root, 'tsconfig.json') };

async function run(name: string, ...words: string[]): Promise<string> {
  const { code, stdout, stderr } = await runProcess(folder, command(name, ...words), { env });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return stdout;
}

beforeAll(() => drawFlowers(join(folder, 'photos'), { perClass: 5, size: 48, seed: 0 }));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('custom-loop', async () => {
  const stdout = await run('custom-loop', 'photos');
  expect(stdout).toMatch(/pass 2: loss \d+\.\d{3}\non unseen pictures: loss \d/);
  for (const name of ['model.onnx', 'checkpoint']) expect(existsSync(join(folder, 'artifacts', name))).toBe(true);
});

test('train-from-folder', async () => {
  const stdout = await run('train-from-folder', 'photos', 'none', '32');
  expect(stdout).toMatch(/pretrain: \d+ pictures, 1 passes.*finetune: \d+ pictures, 2 passes.*pass 0: cost \d/s);
  expect(existsSync(join(folder, 'infer_model/model.onnx'))).toBe(true);
});

test('fit', async () => {
  expect(await run('fit', 'photos', 'none', '1')).toMatch(
    /^1\. .*pass 0: [\d.]+ % right.*model\.onnx, after 1 passes/s,
  );
});

test('predict', async () => {
  const stdout = await run('predict', 'infer_model', photo);
  expect(stdout).toMatch(new RegExp(`^${photo}: (${FLOWER_CLASSES.join('|')}) [\\d.]+ %, `));
});

test('serve', async () => {
  const [program = '', ...args] = command('serve', 'infer_model', '0');
  const child: ChildProcess = spawn(program, args, { cwd: folder, env: { ...process.env, ...env } });
  let url = '';
  child.stdout?.on('data', (text) => {
    url ||= /http:\S+/.exec(String(text))?.[0] ?? '';
  });
  await untilPrinted(child, 'http://');
  expect(await (await fetch(`${url}/healthz`)).text()).not.toBe('');
  child.kill('SIGINT');
  expect(await once(child, 'exit')).toEqual([0, null]);
});

test('each example is run', () => {
  expect([...ran].sort()).toEqual(readdirSync(join(root, 'examples')).sort());
});
