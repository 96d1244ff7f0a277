import type { TrainingEvent } from '../training/index.ts';

/** An event as a line of JSON. Of a data set's pictures it has the counts; what is no number is null. */
export function jsonLine(event: TrainingEvent): string {
  if (event.type !== 'dataset') return `${JSON.stringify(event)}\n`;
  const { train, valid, test, ...dataset } = event.dataset;
  const counts = { train: train.length, valid: valid.length, test: test.length };
  return `${JSON.stringify({ type: event.type, dataset: { ...dataset, ...counts } })}\n`;
}
