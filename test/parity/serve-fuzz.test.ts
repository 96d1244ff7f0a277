import { afterAll, beforeAll, expect, it } from 'vitest';
import { ERROR_STATUSES } from '../../src/serve/http-error.ts';
import type { RequestRecord } from '../../src/serve/index.ts';
import { Workshop } from '../serve/workshop.ts';
import { describeWith, run } from './environment.ts';
import { fuzzing } from './setup.mjs';

describeWith(fuzzing, 'a server fuzzed from its own description', () => {
  let workshop: Workshop;
  beforeAll(async () => {
    workshop = await Workshop.open();
  });
  afterAll(() => workshop.close());

  it('answers as it says', async () => {
    const records: RequestRecord[] = [];
    const server = await workshop.serve({ onRequest: (record) => records.push(record) });
    const report = await run(fuzzing, ['run', server.url, '1']).catch((error: { stdout: string }) => error.stdout);
    expect(report).toMatch(/No issues found/);
    const statuses = new Set(records.filter(({ route }) => route === '/predict').map(({ status }) => status));
    // It got through to the model, and was refused in several ways, but never for a fault of the server's.
    expect([...statuses]).toEqual(expect.arrayContaining([200, 400, 405, 413, 415]));
    for (const status of statuses) if (status !== 200) expect(Object.keys(ERROR_STATUSES)).toContain(String(status));
    expect(records.filter(({ status }) => status >= 500)).toEqual([]);
  }, 120_000);
});
