import { readdir } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openWorkshop, type Workshop } from '../training/workshop.ts';
import { runCommand } from './command.ts';

let workshop: Workshop;
beforeAll(async () => {
  workshop = await openWorkshop();
});
afterAll(() => workshop.remove());

/** A rate that spoils the head in the second pass, and a tenth of it does not. */
const stageOne = (...more: string[]) =>
  runCommand(workshop.folder, 'pretrain', [
    ...['--data', 'data', '--graph', 'graph.onnx', '--weights', 'none', '--threads', '1', '--out', 'one'],
    ...['--passes', '3', '--batch-size', '6', '--lr', '1e19', ...more],
  ]);

describe('--on-nan', () => {
  it('left out: the command fails, says why and leaves nothing', async () => {
    const { code, stderr } = await stageOne();
    expect(code).toBe(1);
    expect(stderr).toMatch(/^Error: after pass 1, batch 1 \(step 5, .*received NaN in .*There is no record of the run/);
    expect((await readdir(workshop.folder)).sort()).toEqual(['data', 'graph.onnx']);
  });

  it('rollback: it goes on, and says from where', async () => {
    const { code, stdout, stderr } = await stageOne('--on-nan', 'rollback');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^Back to pass 0, batch 0, at a tenth of the rate: after pass 1, batch 1 \(step 5, /m);
    expect(stdout).toMatch(/^Saved: one /m);
  });
});
