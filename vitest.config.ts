import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // The training library is loaded once per process: a process for each file, so that no test sees another's.
    pool: 'forks',
    // Two cores are the rule on small machines; sessions bring threads of their own.
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
