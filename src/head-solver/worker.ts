import { parentPort, workerData } from 'node:worker_threads';
import { Products } from './products.ts';
import { solve } from './select.ts';
import type { SolveReply, SolveSetup } from './solve.ts';

const { problem, stop } = workerData as SolveSetup;
const port = parentPort as NonNullable<typeof parentPort>;
const answer = (reply: SolveReply) => port.postMessage(reply);
const goOn = () => Atomics.load(stop, 0) === 0;

try {
  const products = await Products.create(problem.threads);
  const onFit = (fit: Extract<SolveReply, { fit: unknown }>['fit']) => {
    answer({ fit });
    return goOn();
  };
  const solution = await solve(problem, { products, onFit, goOn });
  await products.release();
  answer(solution ? { solution } : { stopped: true });
} catch (error) {
  answer({ failed: error instanceof Error ? error : new Error(String(error)) });
}
