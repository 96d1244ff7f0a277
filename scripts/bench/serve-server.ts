/** The server of the benchmark: says its address, and ends with its input. */
import { once } from 'node:events';
import { serve } from '../../src/serve/index.ts';

const [model = '', threads, maxBatch] = process.argv.slice(2);
const server = await serve({ model, port: 0, threads: Number(threads), maxBatch: Number(maxBatch), concurrency: 64 });
console.log(server.url);
process.stdin.resume();
await once(process.stdin, 'end');
await server.close();
