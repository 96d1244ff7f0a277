import { createRequire } from 'node:module';
import type * as Serving from 'onnxruntime-node';
import { locateServing } from '../runtime/locate.ts';

// Wherever it is installed: in the project, or by setup outside of it.
const serving: typeof Serving = createRequire(import.meta.url)(locateServing());

/** As onnxruntime-node exports them. Its `run` is synchronous behind the promise: for a worker's thread only. */
export const { InferenceSession, Tensor } = serving;
export type InferenceSession = Serving.InferenceSession;
export type Tensor = Serving.Tensor;
