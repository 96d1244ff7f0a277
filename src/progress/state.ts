import { z } from 'zod';
import type { Candidate, PassRecord } from '../training/pass-state.ts';
import type { Fingerprint } from './fingerprint.ts';

/** What a record says beside the session's own state. */
export interface State {
  readonly fingerprint: Fingerprint;
  readonly record: PassRecord;
  readonly best?: Omit<Candidate, 'values'> & {
    /** Bytes of each value in the file of them, in order. */
    readonly values: readonly (readonly [string, number])[];
  };
}

const count = z.int().min(0);
const sum = z.tuple([z.number(), z.number()]);
/** Written and read by ortune alone, and shown or handed on as it is. */
const data = z.looseObject({});

const stateFile = z.looseObject({
  fingerprint: data,
  record: z.looseObject({
    pass: count,
    batches: count,
    updates: count,
    learningRate: z.number(),
    askedRate: z.number().optional(),
    cost: sum,
    accuracy: sum,
    done: count,
    trainedMs: z.number(),
    waitedMs: z.number(),
    lossScale: sum.optional(),
    history: z.array(data),
    steps: z.array(data),
    progress: z.looseObject({
      best: z.looseObject({ pass: count, value: z.number() }).optional(),
      waited: count,
    }),
    evaluation: data.optional(),
    rollbacks: z.array(data),
    top: z.array(z.looseObject({ pass: count, value: z.number() })),
    ended: z.boolean(),
  }),
  best: z
    .looseObject({
      kept: count,
      values: z.array(z.tuple([z.string(), count])),
      evaluation: data.optional(),
    })
    .optional(),
});

/** @throws Error for text that is no state */
export function parseState(text: string): State {
  const value: unknown = JSON.parse(text);
  const { success, error } = stateFile.safeParse(value);
  if (!success) {
    const { path, message } = error.issues[0]!;
    throw new Error(`${path.join('.')}: ${message}`);
  }
  // As it was written: a copy could differ in what the schema does not name.
  return value as State;
}
