import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename, dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type * as Ort from 'onnxruntime-web';
import { launchBrowser } from '../browser.ts';

export type Outputs = Record<string, { dims: readonly number[]; data: readonly number[] }>;

const RUNTIME = dirname(fileURLToPath(import.meta.resolve('onnxruntime-web/wasm')));
/** Vitest rewrites imports in functions, those for the page too: the page's own script has it. */
const PAGE = `<!doctype html><title>onnxruntime-web</title>
<script type="module">globalThis.ort = await import('/runtime/ort.wasm.min.mjs');</script>`;
const TYPES: Record<string, string> = { '.mjs': 'text/javascript', '.wasm': 'application/wasm', '.html': 'text/html' };

/** A folder's files and onnxruntime-web's, on this machine alone. */
async function serve(folder: string): Promise<Server> {
  const server = createServer(async ({ url = '/' }, response) => {
    try {
      const [, place, name = ''] = url.split('/');
      const body = place === '' ? PAGE : await readFile(join(place === 'runtime' ? RUNTIME : folder, basename(name)));
      response.writeHead(200, { 'content-type': TYPES[extname(name) || '.html'] ?? 'application/octet-stream' });
      response.end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

/**
 * Runs models in a browser, by onnxruntime-web's WebAssembly.
 *
 * @param folder with the models and the pixels
 * @param pixels name of a file of uint8 [pictures, side, side, 3]
 * @returns the outputs of each model, in order
 */
export async function runInBrowser(
  folder: string,
  models: readonly string[],
  pixels: string,
  side: number,
): Promise<Outputs[]> {
  const server = await serve(folder);
  const browser = await launchBrowser();
  try {
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    await page.waitForFunction(() => 'ort' in globalThis);
    const found: Outputs[] = [];
    for (const model of models) found.push(await page.evaluate(inPage, { model, pixels, side }));
    return found;
  } finally {
    await browser.close();
    server.close();
  }
}

/** Runs in the page, which has nothing of this module. */
async function inPage({ model, pixels, side }: { model: string; pixels: string; side: number }): Promise<Outputs> {
  const { ort } = globalThis as unknown as { ort: typeof Ort };
  ort.env.wasm.wasmPaths = '/runtime/';
  ort.env.wasm.numThreads = 1;
  const data = new Uint8Array(await (await fetch(`/files/${pixels}`)).arrayBuffer());
  const session = await ort.InferenceSession.create(`/files/${model}`, { executionProviders: ['wasm'] });
  const image = new ort.Tensor('uint8', data, [data.length / (side * side * 3), side, side, 3]);
  const outputs = await session.run({ image });
  await session.release();
  return Object.fromEntries(
    Object.entries(outputs).map(([name, { dims, data }]) => [name, { dims, data: [...(data as Float32Array)] }]),
  );
}
