/** The server of the benchmark: answers each line with its address, and ends with its input. */
import { createInterface } from 'node:readline';
import { serve } from '../../src/serve/index.ts';

const [model = '', threads, maxBatch] = process.argv.slice(2);
const server = await serve({ model, port: 0, threads: Number(threads), maxBatch: Number(maxBatch), concurrency: 64 });
for await (const _ of createInterface({ input: process.stdin })) console.log(JSON.stringify(server.url));
await server.close();
